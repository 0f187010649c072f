"""taskiq at its best for this work: a list as broker, no results, two processes of 32 tasks, uvloop."""

import asyncio
import os
import sys
import time

import uvloop
from redis.asyncio import Redis
from taskiq import TaskiqEvents
from taskiq_redis import ListQueueBroker

import recovery_aiohttp as http
from recovery import Task

task = Task(os.environ.get("TASK") or sys.argv[-1])
# A wait for work may last: a connection's own patience of five seconds, redis-py's default, would end the worker.
broker = ListQueueBroker(task.redis, socket_timeout=None)


@broker.on_event(TaskiqEvents.WORKER_STARTUP)
async def begin(state):
    state.http, state.redis = http.session(), Redis.from_url(task.redis, socket_timeout=None)
    broker.state_of_worker = state
    print("ready", flush=True)


@broker.task(task_name="recover")
async def recover(uuid: str) -> None:
    state = broker.state_of_worker
    await http.recover(task, state.http, uuid)
    if await state.redis.incr("done") == task.meetings:
        await state.redis.lpush("finished", 1)


async def produce():
    await broker.startup()
    began = time.monotonic()
    async with http.session() as through:
        batch = []
        async for meeting in http.listed(task, through):
            batch.append(recover.kiq(meeting["uuid"]))
            if len(batch) == 100:
                await asyncio.gather(*batch)
                batch = []
        await asyncio.gather(*batch)
    async with Redis.from_url(task.redis, socket_timeout=None) as redis:
        await redis.blpop("finished")
    took = time.monotonic() - began
    await broker.shutdown()
    return took


if __name__ == "__main__":
    if sys.argv[1] == "produce":
        print(uvloop.run(produce()))
    else:
        os.environ["TASK"] = sys.argv[-1]
        os.chdir(os.path.dirname(os.path.abspath(__file__)))
        settings = ["--workers", "2", "--max-async-tasks", "32", "--log-level", "CRITICAL"]
        os.execvp("taskiq", ["taskiq", "worker", "taskiq_recovery:broker", *settings])
