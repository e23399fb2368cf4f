"""Processes that do one thing at once: forks of a server that has imported and read what they all need."""

from __future__ import annotations

import multiprocessing
from functools import cache
from multiprocessing.context import ForkServerContext


@cache
def forks() -> ForkServerContext:
    """Where such processes and their barriers come from."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.support.warmed"])
    return context
