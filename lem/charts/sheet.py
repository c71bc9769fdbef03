"""What a chart is drawn on: SVG elements, each named by its classes, and what has to be said of
how something is drawn."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from html import escape

from lem.charts.lettering import certain, measure, wrap
from lem.charts.model import Target

Href = Callable[[Target], str]
NARROW = 560
"""Below this width labels stand above their rows, and there are fewer ticks."""
SMALL, NORMAL, LARGE = 12.0, 13.0, 20.0
_ADDRESS = re.compile(r"(https?://|[./#?]|[\w%~-]+([/.?#]|$))", re.ASCII)
"""What a link may begin with: the web, or a place relative to the page; no other scheme."""


class Sheet:
    """Collects elements from top to bottom; later ones lie over earlier ones."""

    def __init__(self, width: float, name: str, href: Href | None) -> None:
        self.width = width
        self.narrow = width < NARROW
        self.name = re.sub(r"[^a-z0-9-]+", "-", name.lower()) or "chart"
        """For ids within the document."""
        self.linked = False
        """Whether anything on it can be followed."""
        self._href = href
        self._parts: list[str] = []
        self._key: dict[str, None] = {}
        self._patterns: dict[int, None] = {}

    def say(self, words: str) -> None:
        """A sentence on how something here is drawn; once, however often it is said."""
        self._key.setdefault(words)

    @property
    def said(self) -> tuple[str, ...]:
        return tuple(self._key)

    def markup(self) -> str:
        return "".join((*map(self._pattern, self._patterns), *self._parts))

    def text(
        self,
        x: float,
        y: float,
        words: str,
        *,
        size: float = NORMAL,
        anchor: str = "start",
        of: str = "label",
        full: str = "",
    ) -> None:
        """One line, its baseline at ``y``; ``full`` is shown where the pointer rests on it. The
        line is as long as it was measured, in whatever font a browser finds for it."""
        long = ""
        if len(words) > 1 and certain(words):
            width = measure(words, size, "emphasis" in of)
            long = f' textLength="{width:.4g}" lengthAdjust="spacingAndGlyphs"'
        to = "" if anchor == "start" else f' text-anchor="{anchor}"'
        more = f"<title>{escape(full)}</title>" if full and full != words else ""
        self._parts.append(
            f'<text class="{of}" x="{x:.5g}" y="{y:.5g}" font-size="{size:g}"{to}{long}>'
            f"{escape(words)}{more}</text>"
        )

    def paragraph(
        self, x: float, y: float, words: str, room: float, size: float, of: str, most: int = 99
    ) -> float:
        """Lines below each other, the first one's baseline at ``y``; the baseline that a next line
        would have."""
        leading = round(size * (1.25 if size >= LARGE else 1.35), 1)
        lines = wrap(words, room, size, most, "emphasis" in of)
        for i, line in enumerate(lines):
            full = words if i == len(lines) - 1 and "…" in line else ""
            self.text(x, y + i * leading, line, size=size, of=of, full=full)
        return y + len(lines) * leading

    def line(self, x1: float, y1: float, x2: float, y2: float, of: str) -> None:
        self._parts.append(
            f'<line class="{of}" x1="{x1:.5g}" y1="{y1:.5g}" x2="{x2:.5g}" y2="{y2:.5g}"/>'
        )

    def rect(
        self, x: float, y: float, width: float, height: float, of: str, radius: float = 0
    ) -> None:
        if width > 0 and height > 0:
            round_ = f' rx="{radius:g}"' if radius else ""
            self._parts.append(
                f'<rect class="{of}" x="{x:.5g}" y="{y:.5g}" width="{width:.5g}" '
                f'height="{height:.5g}"{round_}/>'
            )

    def circle(self, x: float, y: float, r: float, of: str) -> None:
        self._parts.append(f'<circle class="{of}" cx="{x:.5g}" cy="{y:.5g}" r="{r:g}"/>')

    def path(self, d: str, of: str) -> None:
        self._parts.append(f'<path class="{of}" d="{d}"/>')

    def hatched(self, x: float, y: float, width: float, height: float, colour: int) -> None:
        """A rectangle that is striped and outlined rather than filled."""
        if width <= 0:
            return
        self._patterns.setdefault(colour)
        self._parts.append(
            f'<rect class="outline" x="{x:.5g}" y="{y:.5g}" width="{width:.5g}" '
            f'height="{height:.5g}" fill="url(#{self.name}-hatch-{colour})"/>'
        )

    def _pattern(self, colour: int) -> str:
        return (
            f'<pattern id="{self.name}-hatch-{colour}" class="c-{colour}" width="6" height="6" '
            'patternUnits="userSpaceOnUse" patternTransform="rotate(45)">'
            '<line class="hatch" x1="1" y1="0" x2="1" y2="6"/></pattern>'
        )

    @contextmanager
    def group(self, of: str, title: str = "", target: Target | None = None) -> Iterator[None]:
        """What is drawn within has these classes, a title and a link."""
        to = self._href(target) if target is not None and self._href is not None else ""
        # A link that could run something is none.
        to = to if _ADDRESS.match(to) else ""
        self.linked = self.linked or bool(to)
        more = f"<title>{escape(title)}</title>" if title else ""
        self._parts.append((f'<a href="{escape(to)}">' if to else "") + f'<g class="{of}">{more}')
        yield
        self._parts.append("</g>" + ("</a>" if to else ""))
