"""Figures and foreign text as they are shown: digits follow the uncertainty, text stays text."""

import math
import unicodedata
from collections.abc import Iterable

from lem.analysis.words import places, rounded, two_digits, with_ends
from lem.stats import Absolute, RatioEstimate, Verdict

DASH = "–"
NOTHING = "—"
MARKS = {"cannot_tell": " ?", "same": " ="}

_PREFIXES = {
    "J": ((1, "J"), (1e-3, "mJ"), (1e-6, "µJ")),
    "s": ((1, "s"), (1e-3, "ms"), (1e-6, "µs")),
}


def plain(text: str, limit: int = 300) -> str:
    """Text from models, engines and files, safe to print: control characters, escape sequences and
    characters that reorder or hide text become visible escapes; long text is cut."""
    cut = text if len(text) <= limit else text[: limit - 1] + "…"
    if cut.isprintable():  # the usual case, at once
        return cut
    return "".join(c if _harmless(c) else c.encode("unicode_escape").decode() for c in cut)


def _harmless(character: str) -> bool:
    # Cc: control; Cf: bidirectional overrides, zero width; Cs: surrogates; Co, Cn: no glyph.
    return unicodedata.category(character) not in ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")


def scaled(unit: str, values: Iterable[float]) -> tuple[float, str]:
    """Factor and unit in which these values read well: (1000, ``ms/token``) for 0.02 s/token."""
    base, slash, rest = unit.partition("/")
    if base == "bytes":
        return 2**-30, "GiB"
    typical = sorted(abs(v) for v in values if v)
    if base not in _PREFIXES or not typical:
        return 1.0, unit
    middle = typical[len(typical) // 2]
    size, name = next((p for p in _PREFIXES[base] if middle >= p[0] / 10), _PREFIXES[base][-1])
    # 0.2 J reads well; 0.02 s reads better as 20 ms.
    if base == "s" and middle < size and size > 1e-6:
        size, name = next((p for p in _PREFIXES[base] if middle >= p[0]), _PREFIXES[base][-1])
    return 1 / size, f"{name}{slash}{rest}"


def with_unit(title: str, unit: str) -> str:
    """``Energy (J)``; ``Latency (median, ms)`` where the title ends in brackets already."""
    if not unit:
        return title
    return f"{title[:-1]}, {unit})" if title.endswith(")") else f"{title} ({unit})"


def figure(value: Absolute, factor: float = 1.0, *, least: float | None = None) -> str:
    """``20.50 ± 0.41``: U to two significant digits, the value to the same place; see :func:`half`
    for what ± is, and :func:`with_uncertainty` for ``least``. Without it the value stands alone."""
    half_ = half(value)
    u = None if half_ is None else half_ * factor
    return with_uncertainty(value.mean * factor, u, least=least)


def half(value: Absolute) -> float | None:
    """What stands behind ±, and what a chart's whiskers show: U. Where none is stated it is the
    scatter between blocks alone, twice the standard error (of few boards more); with neither there
    is none. So it is with a single block: what scatters most between runs is not in the meter's own
    U, and its digits would promise too much."""
    found = value.expanded if value.n > 1 else None
    if found is None and value.u_a is not None and value.u_a > 1e-9 * abs(value.mean):
        # Less than that is rounding, not scatter.
        found = value.k_a * value.u_a
    return found or None


def whiskers(
    value: Absolute, factor: float = 1.0, *, least: float | None = None
) -> tuple[float, float] | None:
    """The value less and plus :func:`half`, not below ``least``."""
    around = half(value)
    if around is None:
        return None
    low = value.mean - around
    if least is not None:
        low = min(max(least, low), value.mean)
    return low * factor, (value.mean + around) * factor


def provisional(unfinished: str) -> str:
    """What a chart's subtitle ends with while blocks are missing."""
    return f"; provisional: {unfinished}" if unfinished else ""


def capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def is_cut(value: float, uncertainty: float, least: float | None) -> bool:
    """Whether value ± uncertainty would reach below the least that the quantity can be."""
    if least is None or not math.isfinite(value + uncertainty):
        return False
    return value - uncertainty < least <= value


def with_uncertainty(value: float, uncertainty: float | None, *, least: float | None = None) -> str:
    """``20.50 ± 0.41``; without an uncertainty the value to three significant digits. Where the
    interval would reach below the ``least`` that the quantity can be it is cut there, which takes
    nothing from its confidence, and written with its ends: ``37 (0–300)``."""
    if not uncertainty:
        return three_digits(value)
    decimals = places(uncertainty)
    if least is None or not is_cut(value, uncertainty, least):
        return f"{value:.{decimals}f} ± {uncertainty:.{decimals}f}"
    shown = f"{value:.{decimals}f}"
    if value > 1e-9 * uncertainty and not float(shown):
        shown = two_digits(value)
    return f"{shown} ({least:g}{DASH}{rounded(value + uncertainty, decimals, math.ceil)})"


def rough(value: float) -> str:
    """A figure that is only good to ± 50 %: two significant digits."""
    if value == 0 or not math.isfinite(value):
        return NOTHING
    return f"{value:.{max(0, 1 - math.floor(math.log10(abs(value))))}f}"


def about(factor: float) -> str:
    """Of a factor of 1 or more without an interval: ``7.6``, ``1.04``: as many digits as show how
    far it is from 1, and no more."""
    excess = float(rough(factor - 1)) if factor > 1 and math.isfinite(factor) else 0.0
    if not 0 < excess < 1:
        return rough(factor)
    return f"{factor:.{max(1, places(excess) - 1)}f}"


def ratio(estimate: RatioEstimate, verdict: Verdict | None = None) -> str:
    """``0.444 (0.423–0.466)``, and the verdict's mark: ``?`` can't tell yet, ``=`` the same."""
    if estimate.low is None or estimate.high is None:
        return f"{rough(estimate.ratio)} (no interval)"
    mark = MARKS.get(verdict.says, "") if verdict is not None else ""
    value, low, high = with_ends(estimate.ratio, estimate.low, estimate.high)
    return f"{value} ({low}{DASH}{high}){mark}"


def span(low: float, high: float) -> str:
    """``20.1 to 20.9``: to two significant digits of half its width."""
    decimals = min(places((high - low) / 2), 5)
    ends = rounded(low, decimals, math.floor), rounded(high, decimals, math.ceil)
    return " to ".join(ends).replace("-", "−")


def three_digits(value: float) -> str:
    """At least three significant digits, without an exponent."""
    if value == 0 or not math.isfinite(value):
        return "0" if value == 0 else NOTHING
    return f"{value:.{max(0, 2 - math.floor(math.log10(abs(value))))}f}"
