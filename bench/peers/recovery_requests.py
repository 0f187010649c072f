"""The sequential way, with one session of `requests`: of the sequential script and of each process of Celery."""

import requests

from recovery import PIECE, Part, sync_folder


def session():
    # Its own connections, kept open; proxies and .netrc of the machine are not looked for at each request.
    made = requests.Session()
    made.trust_env = False
    return made


def listed(task, through):
    page_token = ""
    while True:
        answer = through.get(task.list_url, params=task.list_parameters(page_token), headers=task.headers)
        answer.raise_for_status()
        page = answer.json()
        yield from page["meetings"]
        page_token = page["next_page_token"]
        if not page_token:
            return


def recover(task, through, uuid):
    answer = through.get(task.meeting_url(uuid), headers=task.headers)
    answer.raise_for_status()
    meeting = answer.json()
    folder = task.meeting_folder(meeting)
    for file in meeting["archive_files"]:
        part = Part(task, folder, file)
        # A redirect to another host loses the token by itself.
        with through.get(file["download_url"], headers=task.headers, stream=True) as body:
            body.raise_for_status()
            for piece in body.iter_content(PIECE):
                part.write(piece)
        part.finish()
    if task.fsync:
        sync_folder(folder)
