"""What something costs over the size of the ledger, as a small SVG: panels side by side, sizes in powers of ten."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

_WIDE, _HIGH, _LEFT, _TOP, _GAP = 250, 150, 55, 40, 75
_COLOURS = ("#1f5fa8", "#b4551d", "#2b7a3d", "#7a4fa3", "#555555")


@dataclass(frozen=True, slots=True)
class Panel:
    """Curves by name, with a value for each size. `powers`: values, too, are on a scale of powers of ten."""

    title: str
    curves: dict[str, Sequence[float]]
    powers: bool = False

    @property
    def span(self) -> tuple[float, float]:
        """From where to where the scale goes."""
        values = [value for curve in self.curves.values() for value in curve]
        if self.powers:
            return 10 ** math.floor(math.log10(min(values))), 10 ** math.ceil(math.log10(max(values)))
        return 0, _round_up(max(values))

    def share(self, value: float) -> float:
        """How high a value stands, from 0 to 1."""
        low, high = self.span
        return math.log(value / low) / math.log(high / low) if self.powers else value / high

    def marks(self) -> list[float]:
        """Values to write at the scale."""
        low, high = self.span
        return [low, math.sqrt(low * high), high] if self.powers else [0, high / 2, high]


def draw(title: str, axis: str, sizes: Sequence[int], panels: Sequence[Panel]) -> str:
    """The picture; `axis` says of what the sizes are."""
    most = max(len(panel.curves) for panel in panels)
    wide = len(panels) * _WIDE + (len(panels) - 1) * _GAP + _LEFT + 30
    high = _HIGH + _TOP + 61 + 14 * most
    drawn = "".join(_panel(number * (_WIDE + _GAP), axis, sizes, panel) for number, panel in enumerate(panels))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {wide} {high}" width="{wide}" height="{high}" '
        f'font-family="sans-serif" font-size="11" role="img">\n'
        f"<title>{title}</title>\n"
        f'<rect width="{wide}" height="{high}" fill="white"/>\n{drawn}</svg>\n'
    )


def _panel(at: int, axis: str, sizes: Sequence[int], panel: Panel) -> str:
    left, bottom = at + _LEFT, _TOP + _HIGH
    parts = [f'<text x="{left}" y="{_TOP - 20}" font-weight="bold">{panel.title}</text>']
    for share, value in zip((0, 0.5, 1), panel.marks(), strict=True):
        y = bottom - share * _HIGH
        parts.append(f'<line x1="{left}" y1="{y}" x2="{left + _WIDE}" y2="{y}" stroke="#ddd"/>')
        parts.append(f'<text x="{left - 6}" y="{y + 4}" text-anchor="end">{value:,.4g}</text>')
    xs = [left + 15 + (_WIDE - 30) * _place(size, sizes) for size in sizes]
    parts += [
        f'<text x="{x:.0f}" y="{bottom + 16}" text-anchor="middle">{size:,}</text>'
        for x, size in zip(xs, sizes, strict=True)
    ]
    parts.append(f'<text x="{left + _WIDE / 2}" y="{bottom + 34}" text-anchor="middle">{axis}</text>')
    for number, (name, values) in enumerate(panel.curves.items()):
        colour = _COLOURS[number]
        ys = [bottom - _HIGH * panel.share(value) for value in values]
        line = " ".join(f"{x:.1f},{y:.1f}" for x, y in zip(xs, ys, strict=True))
        parts.append(f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="2"/>')
        parts += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>' for x, y in zip(xs, ys, strict=True)]
        parts.append(f'<text x="{left}" y="{bottom + 52 + 14 * number}" fill="{colour}">{name}</text>')
    return "\n".join(parts) + "\n"


def _place(size: float, sizes: Sequence[int]) -> float:
    first, last = math.log10(sizes[0]), math.log10(sizes[-1])
    return (math.log10(size) - first) / ((last - first) or 1)


def _round_up(value: float) -> float:
    unit = 10 ** math.floor(math.log10(value))
    return next(unit * step for step in (1, 2, 5, 10) if value <= unit * step)
