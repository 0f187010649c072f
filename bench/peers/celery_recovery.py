"""Celery at its best for this work: prefork × 16 (most of them wait for the disk), no results, no events, no gossip."""

import logging
import sys
import time

import redis
from celery import Celery
from celery.signals import worker_process_init, worker_ready

import recovery_requests as http
from recovery import Task

PROCESSES = 16
task = Task(sys.argv[-1])
app = Celery("peer", broker=task.redis)
app.conf.update(
    task_ignore_result=True,
    worker_prefetch_multiplier=4,
    worker_hijack_root_logger=False,
    broker_connection_retry_on_startup=True,
    worker_send_task_events=False,
)
mine = {}


@worker_process_init.connect
def begin(**_):
    mine["http"], mine["redis"] = http.session(), redis.Redis.from_url(task.redis)


@worker_ready.connect
def ready(**_):
    print("ready", flush=True)


@app.task(name="recover")
def recover(uuid):
    http.recover(task, mine["http"], uuid)
    if mine["redis"].incr("done") == task.meetings:
        mine["redis"].lpush("finished", 1)


def produce():
    through = http.session()
    began = time.monotonic()
    with app.producer_pool.acquire(block=True) as producer:
        for meeting in http.listed(task, through):
            recover.apply_async((meeting["uuid"],), producer=producer)
    redis.Redis.from_url(task.redis).blpop("finished")
    print(time.monotonic() - began)


if __name__ == "__main__":
    logging.disable(logging.CRITICAL)
    if sys.argv[1] == "produce":
        produce()
    else:
        works = app.WorkController(
            pool="prefork",
            concurrency=PROCESSES,
            without_gossip=True,
            without_mingle=True,
            without_heartbeat=True,
            loglevel="CRITICAL",
        )
        works.start()
