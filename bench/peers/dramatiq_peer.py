"""dramatiq at its best in one process: no middleware, no results, and threads, its only way to do several jobs at once."""

import os
import threading
import time

import dramatiq
from dramatiq.brokers.redis import RedisBroker

import jobs


def actor_of(url, recover):
    broker = RedisBroker(url=url, middleware=[])
    return broker, dramatiq.actor(recover, broker=broker, actor_name="recover", queue_name="meetings")


def enqueue(url, count):
    def recover(payload):
        pass

    _, actor = actor_of(url, recover)
    began = time.monotonic()
    for number in range(count):
        actor.send(jobs.payload(number))
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
        actor.send(jobs.payload(9_000_000 + number))
        begun.wait()
        found.append(started[0] - began)
    return found[1:]


if __name__ == "__main__":
    jobs.answer(enqueue, drain, latency)
    # Threads of a worker do not hold the process up.
    os._exit(0)
