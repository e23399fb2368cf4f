"""Calls: a task in a queue for a collector. Nobody's phone rings before a person picks the task up."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from arrears.channels.effect import TAKEN, Absent, Done, Finding, Found, Intent, Outcome


class CallQueue(Protocol):
    """Where call tasks are kept; `key` is unique, so adding twice is adding once.

    `add` says which keys are there now: not those of intents that somebody else has taken.
    """

    def add(self, intents: Sequence[Intent]) -> set[str]: ...
    def has(self, key: str) -> bool: ...


class VoiceChannel:
    """Puts a call task into the queue."""

    def __init__(self, queue: CallQueue) -> None:
        self._queue = queue

    def perform(self, intent: Intent) -> Outcome:
        """Queue the task; it proves itself by its key."""
        return self.perform_all([intent])[0]

    def perform_all(self, intents: Sequence[Intent]) -> list[Outcome]:
        """Queue the tasks in one transaction."""
        there = self._queue.add(intents)
        return [Done(f"task:{intent.key}") if intent.key in there else TAKEN for intent in intents]

    def look_up(self, intent: Intent) -> Finding:
        """The queue is in the ledger: what is there happened, what is not did not."""
        return Found(f"task:{intent.key}") if self._queue.has(intent.key) else Absent()
