"""Celery at its best for this work: prefork × 16 (most of them wait for the disk), no results, no events, no gossip."""

import logging
import os
import sys
import time

import redis
from celery import Celery
from celery.signals import worker_process_init

import recovery_requests as http
from recovery import Task

PROCESSES = 16
task = Task(os.environ.get("TASK") or sys.argv[-1])
app = Celery("peer", broker=task.redis)
app.conf.update(
    task_ignore_result=True,
    worker_prefetch_multiplier=4,
    worker_hijack_root_logger=False,
    worker_redirect_stdouts=False,
    broker_connection_retry_on_startup=True,
    worker_send_task_events=False,
)
mine = {}


@worker_process_init.connect
def begin(**_):
    mine["http"], mine["redis"] = http.session(), redis.Redis.from_url(task.redis, socket_timeout=None)
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
    redis.Redis.from_url(task.redis, socket_timeout=None).blpop("finished")
    print(time.monotonic() - began)


if __name__ == "__main__":
    logging.disable(logging.CRITICAL)
    if sys.argv[1] == "produce":
        produce()
    else:
        os.environ["TASK"] = sys.argv[-1]
        os.chdir(os.path.dirname(os.path.abspath(__file__)))
        quiet = ["--without-gossip", "--without-mingle", "--without-heartbeat", "--loglevel", "CRITICAL"]
        pool = ["--pool", "prefork", "--concurrency", str(PROCESSES)]
        os.execvp("celery", ["celery", "--quiet", "-A", "celery_recovery", "worker", *pool, *quiet])
