"""The jobs of all peers, as those of src/jobs.rs, and how a peer is asked to measure something."""

import json
import logging
import sys

# Jobs that are enqueued together, where a peer can.
BATCH = 500


def uuid(number):
    return "qB3dE/+gHiJkL4m%07d==" % number


def payload(number):
    return {
        "uuid": uuid(number),
        "started_at": "2026-10-01T08:00:04Z",
        "deadline": "2026-10-31T08:00:04Z",
        "wanted": "all",
        "mode": "manual",
    }


def answer(enqueue, drain, latency, run=lambda found: found):
    """Does what the command line names, and prints the seconds that it found."""
    logging.disable(logging.CRITICAL)
    what, url, *numbers = sys.argv[1:]
    measure = {"enqueue": enqueue, "drain": drain, "latency": latency}[what]
    print(json.dumps({"seconds": run(measure(url, *map(int, numbers)))}), flush=True)
