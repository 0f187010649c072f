"""arq at its best for this work: uvloop, hiredis, no results kept, 32 jobs in each of two processes, a look for work each
millisecond."""

import asyncio
import logging
import sys
import time

import uvloop
from arq import create_pool
from arq.connections import RedisSettings
from arq.worker import Worker, func

import recovery_aiohttp as http
from recovery import Task

task = Task(sys.argv[-1])


async def begin(context):
    context["http"] = http.session()
    print("ready", flush=True)


async def recover(context, uuid):
    await http.recover(task, context["http"], uuid)
    if await context["redis"].incr("done") == task.meetings:
        await context["redis"].lpush("finished", 1)


async def work():
    worker = Worker(
        functions=[func(recover, name="recover", keep_result=0)],
        redis_settings=RedisSettings.from_dsn(task.redis),
        on_startup=begin,
        max_jobs=32,
        keep_result=0,
        poll_delay=0.001,
        log_results=False,
    )
    await worker.async_run()


async def produce():
    pool = await create_pool(RedisSettings.from_dsn(task.redis))
    # As many connections as are of use: each job is a transaction of its own.
    at_once = asyncio.Semaphore(32)

    async def one(uuid):
        async with at_once:
            await pool.enqueue_job("recover", uuid, _job_id=uuid)

    began = time.monotonic()
    async with http.session() as through, asyncio.TaskGroup() as jobs:
        async for meeting in http.listed(task, through):
            jobs.create_task(one(meeting["uuid"]))
    await pool.blpop("finished")
    return time.monotonic() - began


if __name__ == "__main__":
    logging.disable(logging.CRITICAL)
    if sys.argv[1] == "produce":
        print(uvloop.run(produce()))
    else:
        try:
            uvloop.run(work())
        except asyncio.CancelledError:
            pass
