"""The cost of waiting as a small SVG: bytes an account, and milliseconds of a tick, over the size of the ledger."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

_WIDE, _HIGH, _LEFT, _TOP, _GAP = 250, 150, 55, 40, 75


@dataclass(frozen=True, slots=True)
class Point:
    """What waiting costs in a ledger of `size` accounts that wait."""

    size: int
    bytes_each: float
    query_ms: float
    tick_ms: float

    def line(self) -> str:
        """The figures in one line."""
        share = 1000 * self.tick_ms / self.size
        return (
            f"{self.size:>9,} waiting: {self.bytes_each:6,.0f} bytes each; due-query {self.query_ms:7.2f} ms,"
            f" tick {self.tick_ms:7.2f} ms: {share:8.4f} µs an account"
        )


def draw(points: Sequence[Point]) -> str:
    """Two panels side by side; the sizes are on a scale of powers of ten."""
    bytes_panel = _panel(0, "bytes a waiting account", points, [("#1f5fa8", "", [p.bytes_each for p in points])])
    curves = [
        ("#1f5fa8", "whole tick", [p.tick_ms for p in points]),
        ("#b4551d", "query for what is due", [p.query_ms for p in points]),
    ]
    ms_panel = _panel(_WIDE + _GAP, "milliseconds, nothing due", points, curves)
    wide, high = 2 * _WIDE + _GAP + _LEFT + 30, _HIGH + _TOP + 75
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {wide} {high}" width="{wide}" height="{high}" '
        f'font-family="sans-serif" font-size="11" role="img">\n'
        f"<title>Cost of waiting, by accounts in the ledger</title>\n"
        f'<rect width="{wide}" height="{high}" fill="white"/>\n{bytes_panel}{ms_panel}</svg>\n'
    )


def _panel(at: int, title: str, points: Sequence[Point], curves: Sequence[tuple[str, str, Sequence[float]]]) -> str:
    left, bottom = at + _LEFT, _TOP + _HIGH
    top = _round_up(max(value for _, _, values in curves for value in values))
    parts = [f'<text x="{left}" y="{_TOP - 20}" font-weight="bold">{title}</text>']
    for share in (0, 0.5, 1):
        y = bottom - share * _HIGH
        parts.append(f'<line x1="{left}" y1="{y}" x2="{left + _WIDE}" y2="{y}" stroke="#ddd"/>')
        parts.append(f'<text x="{left - 6}" y="{y + 4}" text-anchor="end">{share * top:,.4g}</text>')
    xs = [left + 15 + (_WIDE - 30) * _place(point.size, points) for point in points]
    parts += [
        f'<text x="{x:.0f}" y="{bottom + 16}" text-anchor="middle">{point.size:,}</text>'
        for x, point in zip(xs, points, strict=True)
    ]
    parts.append(f'<text x="{left + _WIDE / 2}" y="{bottom + 34}" text-anchor="middle">accounts that wait</text>')
    for number, (colour, name, values) in enumerate(curves):
        ys = [bottom - _HIGH * value / top for value in values]
        line = " ".join(f"{x:.1f},{y:.1f}" for x, y in zip(xs, ys, strict=True))
        parts.append(f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="2"/>')
        parts += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>' for x, y in zip(xs, ys, strict=True)]
        parts.append(f'<text x="{left}" y="{bottom + 52 + 14 * number}" fill="{colour}">{name}</text>')
    return "\n".join(parts) + "\n"


def _place(size: int, points: Sequence[Point]) -> float:
    first, last = math.log10(points[0].size), math.log10(points[-1].size)
    return (math.log10(size) - first) / ((last - first) or 1)


def _round_up(value: float) -> float:
    unit = 10 ** math.floor(math.log10(value))
    return next(unit * step for step in (1, 2, 5, 10) if value <= unit * step)
