"""Celery at its best on one process: no results, no events, no gossip, deep prefetch; the pool `solo` at a concurrency of
1 and threads above it. It acknowledges before it runs (its default), which is cheaper and loses jobs of killed workers.
"""

import os
import threading
import time

from celery import Celery

import jobs


def application(url):
    app = Celery("peer", broker=url)
    app.conf.update(
        task_ignore_result=True,
        worker_prefetch_multiplier=64,
        worker_hijack_root_logger=False,
        broker_connection_retry_on_startup=True,
        worker_send_task_events=False,
    )
    return app


def task_of(app, body):
    return app.task(body, name="recover")


def enqueue(url, count):
    app = application(url)

    def recover(payload):
        pass

    task = task_of(app, recover)
    with app.producer_pool.acquire(block=True) as producer:
        began = time.monotonic()
        for number in range(count):
            task.apply_async((jobs.payload(number),), task_id=jobs.uuid(number), producer=producer)
        return [time.monotonic() - began]


def start(app, concurrency):
    """In a thread that ends with the process: a worker's own way to end takes seconds."""
    works = app.WorkController(
        pool="solo" if concurrency == 1 else "threads",
        concurrency=concurrency,
        without_gossip=True,
        without_mingle=True,
        without_heartbeat=True,
        loglevel="CRITICAL",
    )
    threading.Thread(target=works.start, daemon=True).start()


def drain(url, count, concurrency):
    app = application(url)
    done, first, over = [0], [0.0], threading.Event()
    lock = threading.Lock()

    def recover(payload):
        with lock:
            if done[0] == 0:
                first[0] = time.monotonic()
            done[0] += 1
            if done[0] == count:
                over.set()

    task_of(app, recover)
    start(app, concurrency)
    over.wait()
    return [time.monotonic() - first[0]]


def latency(url, samples):
    app = application(url)
    started, begun = [0.0], threading.Event()

    def recover(payload):
        started[0] = time.monotonic()
        begun.set()

    task = task_of(app, recover)
    start(app, 16)
    found = []
    with app.producer_pool.acquire(block=True) as producer:
        # The first tells that the worker is there, and is not counted.
        for number in range(samples + 1):
            time.sleep(0.01)
            begun.clear()
            began = time.monotonic()
            task.apply_async((jobs.payload(9_000_000 + number),), producer=producer)
            begun.wait()
            found.append(started[0] - began)
    return found[1:]


if __name__ == "__main__":
    jobs.answer(enqueue, drain, latency)
    # Threads of a worker do not hold the process up.
    os._exit(0)
