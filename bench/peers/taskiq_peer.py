"""taskiq at its best in one process: a list as broker, which costs the least and loses the jobs of killed workers, no
results, parameters unchecked, uvloop, hiredis, and as many jobs fetched ahead as run at once."""

import asyncio
import time

import uvloop
from taskiq.api import run_receiver_task
from taskiq_redis import ListQueueBroker

import jobs


def task_of(url, recover):
    # A wait for work may last: a connection's own patience of five seconds would end the worker.
    broker = ListQueueBroker(url, socket_timeout=None)
    return broker, broker.register_task(recover, task_name="recover")


async def no_op(payload: dict) -> None:
    pass


async def enqueue(url, count):
    broker, task = task_of(url, no_op)
    await broker.startup()
    # As many connections as are of use: each job is a command of its own.
    at_once = asyncio.Semaphore(32)

    async def one(number):
        async with at_once:
            await task.kiq(jobs.payload(number))

    began = time.monotonic()
    for first in range(0, count, jobs.BATCH):
        await asyncio.gather(*(one(number) for number in range(first, min(first + jobs.BATCH, count))))
    return [time.monotonic() - began]


def works(broker, concurrency):
    return asyncio.create_task(
        run_receiver_task(
            broker,
            max_async_tasks=concurrency,
            max_prefetch=concurrency,
            validate_params=False,
            run_startup=True,
        )
    )


async def drain(url, count, concurrency):
    done, over = 0, asyncio.Event()

    async def recover(payload: dict) -> None:
        nonlocal done
        done += 1
        if done == count:
            over.set()

    broker, _ = task_of(url, recover)
    began = time.monotonic()
    working = works(broker, concurrency)
    await over.wait()
    took = time.monotonic() - began
    working.cancel()
    await asyncio.gather(working, return_exceptions=True)
    return [took]


async def latency(url, samples):
    started = asyncio.Queue()

    async def recover(payload: dict) -> None:
        started.put_nowait(time.monotonic())

    broker, task = task_of(url, recover)
    working = works(broker, 16)
    found = []
    # The first tells that the worker is there, and is not counted.
    for number in range(samples + 1):
        await asyncio.sleep(0.01)
        began = time.monotonic()
        await task.kiq(jobs.payload(9_000_000 + number))
        found.append(await started.get() - began)
    working.cancel()
    await asyncio.gather(working, return_exceptions=True)
    return found[1:]


if __name__ == "__main__":
    jobs.answer(enqueue, drain, latency, run=uvloop.run)
