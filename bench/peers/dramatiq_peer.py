"""dramatiq at its best in one process: no middleware, no results, and threads, its only way to do several jobs at once."""

import json
import logging
import os
import sys
import threading
import time

import dramatiq
from dramatiq.brokers.redis import RedisBroker

UUID = "qB3dE/+gHiJkL4m%07d=="


def payload(number):
    return {
        "uuid": UUID % number,
        "started_at": "2026-10-01T08:00:04Z",
        "deadline": "2026-10-31T08:00:04Z",
        "wanted": "all",
        "mode": "manual",
    }


def actor_of(url, recover):
    broker = RedisBroker(url=url, middleware=[])
    return broker, dramatiq.actor(recover, broker=broker, actor_name="recover", queue_name="meetings")


def enqueue(url, count):
    def recover(payload):
        pass

    _, actor = actor_of(url, recover)
    began = time.monotonic()
    for number in range(count):
        actor.send(payload(number))
    return [time.monotonic() - began]


def drain(url, count, concurrency):
    done, over = [0], threading.Event()
    lock = threading.Lock()

    def recover(payload):
        with lock:
            done[0] += 1
            if done[0] == count:
                over.set()

    broker, _ = actor_of(url, recover)
    began = time.monotonic()
    dramatiq.Worker(broker, worker_threads=concurrency).start()
    over.wait()
    return [time.monotonic() - began]


def latency(url, samples):
    started, begun = [0.0], threading.Event()

    def recover(payload):
        started[0] = time.monotonic()
        begun.set()

    broker, actor = actor_of(url, recover)
    dramatiq.Worker(broker, worker_threads=16).start()
    found = []
    # The first tells that the worker is there, and is not counted.
    for number in range(samples + 1):
        time.sleep(0.01)
        begun.clear()
        began = time.monotonic()
        actor.send(payload(9_000_000 + number))
        begun.wait()
        found.append(started[0] - began)
    return found[1:]


if __name__ == "__main__":
    logging.disable(logging.CRITICAL)
    what, url, *numbers = sys.argv[1:]
    measure = {"enqueue": enqueue, "drain": drain, "latency": latency}[what]
    print(json.dumps({"seconds": measure(url, *map(int, numbers))}), flush=True)
    # Threads of a worker do not hold the process up.
    os._exit(0)
