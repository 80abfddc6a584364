"""The bare loop: keep-alive `requests.Session`s that post the same bytes, and nothing else."""

import multiprocessing
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from multiprocessing.synchronize import Barrier
from typing import Any

import requests

WARM_UP = 200
OURS = {"host", "content-length", "connection"}  # headers that requests sets by itself


@dataclass(frozen=True)
class Post:
    """What is posted, again and again."""

    url: str
    headers: Mapping[str, str]
    body: bytes

    @classmethod
    def like(cls, raw: bytes, *, host: str) -> "Post":
        """The same as this request that arrived: bytes, headers and path."""
        head, _, body = raw.partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        headers = dict(line.split(": ", 1) for line in lines)
        kept = {name: value for name, value in headers.items() if name.lower() not in OURS}
        return cls(url=f"http://{host}{first.split()[1]}", headers=kept, body=body)


def rate(post: Post, *, total: int, processes: int, threads: int = 1) -> float:
    """Posts a second, of so many processes with so many threads each, a Session for each thread; warmed up before."""
    context = multiprocessing.get_context("spawn")
    barrier = context.Barrier(processes + 1)
    each = total // (processes * threads)
    children = [context.Process(target=_process, args=(post, each, threads, barrier)) for _ in range(processes)]
    for child in children:
        child.start()
    barrier.wait(120)  # all are warm
    started = time.monotonic()
    barrier.wait(600)  # all are done
    took = time.monotonic() - started
    for child in children:
        child.join()
    return each * threads * processes / took


def _process(post: Post, each: int, threads: int, barrier: Barrier) -> None:
    gate = threading.Barrier(threads + 1)
    own = [threading.Thread(target=_loop, args=(post, each, threads, gate)) for _ in range(threads)]
    for thread in own:
        thread.start()
    gate.wait()
    barrier.wait()
    gate.wait()
    for thread in own:
        thread.join()
    barrier.wait()


def _loop(post: Post, each: int, threads: int, gate: threading.Barrier) -> None:
    with requests.Session() as session:
        for _ in range(max(1, WARM_UP // threads)):
            _post(session, post)
        gate.wait()
        gate.wait()
        for _ in range(each):
            _post(session, post)


def _post(session: requests.Session, post: Post) -> Any:
    answer = session.post(post.url, data=post.body, headers=dict(post.headers))
    assert answer.status_code == 200
    return answer.content
