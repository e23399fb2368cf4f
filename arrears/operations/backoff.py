"""How long to leave alone what has failed."""

from datetime import timedelta


def backoff(tries: int, *, first: timedelta, longest: timedelta) -> timedelta:
    """`first` after one try, twice as long after each further one, but never more than `longest`."""
    return min(first * 2 ** min(tries - 1, 12), longest)
