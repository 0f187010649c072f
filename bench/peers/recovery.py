"""What the scripts of all peers share: the task, the names in Zoom's API, and how a file is stored as durably as ours."""

import hashlib
import json
import os
from urllib.parse import quote

PIECE = 256 << 10


class Task:
    def __init__(self, path):
        with open(path, encoding="utf-8") as file:
            self.__dict__.update(json.load(file))
        self.headers = {"Authorization": f"Bearer {self.token}"}

    @property
    def list_url(self):
        return f"{self.api_url}/archive_files"

    def list_parameters(self, page_token):
        return {"from": self.__dict__["from"], "to": self.to, "page_size": 300, "next_page_token": page_token}

    def meeting_url(self, uuid):
        name = quote(uuid, safe="")
        if uuid.startswith("/") or "//" in uuid:
            name = quote(name, safe="")
        return f"{self.api_url}/past_meetings/{name}/archive_files"

    def meeting_folder(self, meeting):
        day = meeting["start_time"][:10].replace("-", "/")
        key = meeting["uuid"].replace("/", "_").replace("+", "-").rstrip("=")
        parent = os.path.join(self.folder, day)
        folder = os.path.join(parent, key)
        os.makedirs(folder, mode=0o700, exist_ok=True)
        if self.fsync:
            sync_folder(parent)
        return folder


def sync_folder(path):
    folder = os.open(path, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


class Part:
    """A file on its way: hashed while it is written, renamed when it is whole and durable."""

    def __init__(self, task, folder, listed):
        self.path = os.path.join(folder, f"{listed['id']}.{listed['file_extension'].lower()}")
        self.file = open(self.path + ".part", "xb", buffering=0)
        self.hash = hashlib.sha256()
        self.size = 0
        self.task, self.listed = task, listed

    def write(self, piece):
        self.hash.update(piece)
        self.file.write(piece)
        self.size += len(piece)

    def finish(self):
        assert self.size == self.listed["file_size"], (self.size, self.listed)
        self.hash.hexdigest()
        if self.task.fsync:
            os.fdatasync(self.file.fileno())
        self.file.close()
        os.rename(self.path + ".part", self.path)
