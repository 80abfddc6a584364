"""Task each: one Django-Q task per delivery that posts and inserts one log row, as most projects would begin."""

import os
import subprocess
import sys
import time

import requests
from django.db import connection, transaction
from django_q.brokers.orm import ORM
from django_q.tasks import async_task

from tests.bench.bare import Post
from tests.bench.receiver import ROOT
from tests.bench.world import wait_until

TABLE = """CREATE TABLE IF NOT EXISTS bench_log (
    id bigserial PRIMARY KEY, url text, body text, status int, answer text, took_ms int, at timestamptz DEFAULT now()
)"""
INSERT = "INSERT INTO bench_log (url, body, status, answer, took_ms) VALUES (%s, %s, %s, %s, %s)"


def post_and_log(url: str, headers: dict[str, str], body: bytes) -> None:
    """The task."""
    started = time.monotonic()
    answer = requests.post(url, data=body, headers=headers, timeout=10)
    took_ms = round((time.monotonic() - started) * 1000)
    with connection.cursor() as cursor:
        cursor.execute(INSERT, [url, body.decode(), answer.status_code, answer.text, took_ms])


def rate(post: Post, *, total: int, warm_up: int) -> float:
    """Deliveries a second of a real `qcluster` with Django-Q's defaults and the ORM broker; all are queued at once."""
    broker = ORM(list_key=os.environ["CLUSTER_NAME"])
    with connection.cursor() as cursor:
        cursor.execute(TABLE)
        cursor.execute("TRUNCATE bench_log")
    environment = {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "tests.bench.settings_task_each",
        "PYTHONWARNINGS": "ignore::UserWarning",  # of its own defaults
    }
    process = subprocess.Popen([sys.executable, "manage.py", "qcluster"], cwd=ROOT, env=environment)
    try:
        _work_off(post, warm_up, broker)
        return total / _work_off(post, total, broker)
    finally:
        process.terminate()
        process.wait(60)


def _work_off(post: Post, size: int, broker: ORM) -> float:
    """Seconds that so many tasks take, from the commit that queues them all to the last log row."""
    before = _logged()
    with transaction.atomic():
        for _ in range(size):
            async_task(post_and_log, post.url, dict(post.headers), post.body, broker=broker)
    started = time.monotonic()
    wait_until(lambda: _logged() >= before + size, seconds=600)
    return time.monotonic() - started


def _logged() -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM bench_log")
        return int(cursor.fetchone()[0])
