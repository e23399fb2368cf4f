"""Writes down every HTTP request of a Python process that has this folder on its PYTHONPATH and CALLS_SEEN set.

One line a request, `METHOD /path milliseconds`, with ids and names left out; a file for each process.
"""

from __future__ import annotations

import os
import re
import time
from pathlib import Path

import httpx

_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f-]{27}")
_NAMED = re.compile(r"/(work_pools|deployments/name|flows/name)/[^/]+")
_sync, _async = httpx.Client.send, httpx.AsyncClient.send


def _note(request: httpx.Request, began: float) -> None:
    path = _NAMED.sub(r"/\1/{name}", _ID.sub("{id}", request.url.path))
    line = f"{request.method} {path} {1000 * (time.perf_counter() - began):.1f}\n"
    with (Path(os.environ["CALLS_SEEN"]) / str(os.getpid())).open("a", encoding="utf-8") as stream:
        stream.write(line)


def _send(self: httpx.Client, request: httpx.Request, **more: object) -> httpx.Response:
    began = time.perf_counter()
    try:
        return _sync(self, request, **more)  # type: ignore[arg-type]
    finally:
        _note(request, began)


async def _asend(self: httpx.AsyncClient, request: httpx.Request, **more: object) -> httpx.Response:
    began = time.perf_counter()
    try:
        return await _async(self, request, **more)  # type: ignore[arg-type]
    finally:
        _note(request, began)


if "CALLS_SEEN" in os.environ:
    httpx.Client.send, httpx.AsyncClient.send = _send, _asend  # type: ignore[method-assign]
