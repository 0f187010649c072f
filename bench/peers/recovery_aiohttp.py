"""The asynchronous way, with one session of `aiohttp` in each process: of taskiq and arq."""

import asyncio

import aiohttp

from recovery import PIECE, Part, sync_folder


def session():
    connector = aiohttp.TCPConnector(limit=0)
    return aiohttp.ClientSession(connector=connector, read_bufsize=PIECE)


async def listed(task, through):
    page_token = ""
    while True:
        parameters = task.list_parameters(page_token)
        async with through.get(task.list_url, params=parameters, headers=task.headers) as answer:
            answer.raise_for_status()
            page = await answer.json()
        for meeting in page["meetings"]:
            yield meeting
        page_token = page["next_page_token"]
        if not page_token:
            return


async def recover(task, through, uuid):
    # Encoded already, and not to be encoded again.
    url = aiohttp.client.URL(task.meeting_url(uuid), encoded=True)
    async with through.get(url, headers=task.headers) as answer:
        answer.raise_for_status()
        meeting = await answer.json()
    folder = await asyncio.to_thread(task.meeting_folder, meeting)
    await asyncio.gather(*(store(task, through, folder, file) for file in meeting["archive_files"]))
    if task.fsync:
        await asyncio.to_thread(sync_folder, folder)


async def store(task, through, folder, file):
    part = Part(task, folder, file)
    async with through.get(file["download_url"], headers=task.headers) as body:
        body.raise_for_status()
        # Writing to the page cache and hashing is cheaper than handing over to a thread; waiting for the disk is not.
        async for piece in body.content.iter_any():
            part.write(piece)
    await asyncio.to_thread(part.finish)
