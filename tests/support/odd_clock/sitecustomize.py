"""Lets a Python process that has this folder on its PYTHONPATH see a clock that is off by CLOCK_AHEAD seconds."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta

import time_machine

_AHEAD = timedelta(seconds=float(os.environ["CLOCK_AHEAD"]))
time_machine.travel(datetime.now(UTC) + _AHEAD, tick=True).start()  # noqa: TID251  the clock to be moved
