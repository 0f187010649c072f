"""One meeting after the other, as the scripts do that are published for Zoom recordings."""

import sys
import time

import recovery_requests as http
from recovery import Task

if __name__ == "__main__":
    _, _, path = sys.argv
    task, through = Task(path), http.session()
    began = time.monotonic()
    for meeting in list(http.listed(task, through)):
        http.recover(task, through, meeting["uuid"])
    print(time.monotonic() - began)
