"""arq at its best: uvloop, hiredis, no results kept, and a worker that looks for work each millisecond instead of
each half second."""

import asyncio
import time

import uvloop
from arq import create_pool
from arq.connections import RedisSettings
from arq.worker import Worker, func

import jobs


def enqueue_one(pool, number):
    return pool.enqueue_job("recover", jobs.payload(number), _job_id=jobs.uuid(number))


async def enqueue(url, count):
    pool = await create_pool(RedisSettings.from_dsn(url))
    # As many connections as are of use: each job is a transaction of its own.
    at_once = asyncio.Semaphore(32)

    async def one(number):
        async with at_once:
            await enqueue_one(pool, number)

    began = time.monotonic()
    for first in range(0, count, jobs.BATCH):
        await asyncio.gather(*(one(number) for number in range(first, min(first + jobs.BATCH, count))))
    return [time.monotonic() - began]


def worker(url, concurrency, recover, **more):
    return Worker(
        functions=[func(recover, name="recover", keep_result=0)],
        redis_settings=RedisSettings.from_dsn(url),
        max_jobs=concurrency,
        keep_result=0,
        poll_delay=0.001,
        log_results=False,
        handle_signals=False,
        **more,
    )


async def drain(url, count, concurrency):
    done = 0

    async def recover(_context, _payload):
        nonlocal done
        done += 1

    works = worker(url, concurrency, recover, burst=True)
    began = time.monotonic()
    await works.async_run()
    took = time.monotonic() - began
    assert done == count, (done, count)
    await works.close()
    return [took]


async def latency(url, samples):
    pool = await create_pool(RedisSettings.from_dsn(url))
    started = asyncio.Queue()

    async def recover(_context, _payload):
        started.put_nowait(time.monotonic())

    works = worker(url, 16, recover)
    running = asyncio.create_task(works.async_run())
    found = []
    for number in range(samples):
        await asyncio.sleep(0.01)
        began = time.monotonic()
        await enqueue_one(pool, 9_000_000 + number)
        found.append(await started.get() - began)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    return found


if __name__ == "__main__":
    jobs.answer(enqueue, drain, latency, run=uvloop.run)
