"""Words as they are set: made harmless, measured, broken into lines and shortened to their room."""

import unicodedata
from functools import lru_cache

_REGULAR = {
    200: "  ", 241: "|", 246: "i", 247: "j", 249: "',.:;·’‘", 255: "l", 263: "I", 289: "!",
    292: "f", 303: "()[]{}", 311: "-", 331: "°", 338: "t", 347: "r", 350: '/\\', 367: "²₂",
    418: "*", 419: "s", 425: "?z", 426: '"“”', 446: "x", 456: "c", 467: "vy", 476: "Y", 480: "J–",
    486: "L", 494: "F", 495: "k", 496: "eé", 497: "#$+0123456789<=>^~×±−€≈≤≥", 500: "_",
    504: "agä", 513: "X", 515: "V", 527: "E", 534: "S", 536: "T", 538: "Σ", 539: "Z", 542: "`oö",
    544: "AhuüÄ", 547: "n", 553: "b", 555: "dpq", 557: "√", 562: "µ", 566: "P", 569: "R", 571: "C",
    576: "ß", 579: "K", 588: "B", 609: "&", 615: "D", 617: "G", 619: "→", 645: "UÜ", 647: "N",
    652: "H", 664: "OQÖ", 678: "Ω", 719: "w", 727: "M", 786: "W", 800: "—", 824: "%", 829: "m",
    847: "@", 948: "…",
}  # fmt: skip
"""Widths in ``fonts/LemSans-Regular.ttf``, in thousandths of the type's size."""
_SEMIBOLD = {
    200: "  ", 255: "|", 262: "i", 263: "j", 271: "l", 275: "',.:;·’‘", 282: "I", 315: "!",
    317: "f", 322: "-", 324: "()[]{}", 344: '/\\', 348: "°", 361: "t", 372: "²₂", 373: "r",
    431: "s", 438: "*", 443: "z", 444: "?", 462: "c", 480: "–", 481: "x", 482: '"“”', 494: "J",
    495: "vy", 500: "_", 501: "Y", 502: "L", 507: "eé", 510: "F", 513: "#$+0123456789<=>^~×±−€≈≤≥",
    516: "aä", 520: "g", 522: "k", 536: "V", 538: "E", 540: "Z", 541: "X", 544: "Σ", 545: "S",
    546: "T", 549: "`oö", 556: "uü", 558: "AhÄ", 560: "n", 563: "b", 564: "dpq", 573: "√",
    576: "C", 578: "µ", 582: "P", 592: "R", 597: "BK", 604: "ß", 618: "→", 625: "D", 628: "G",
    639: "&", 655: "UÜ", 657: "N", 663: "H", 674: "OQÖ", 695: "Ω", 745: "M", 748: "w", 800: "W—",
    841: "%", 843: "m", 875: "@", 964: "…",
}  # fmt: skip


def _widths(by_width: dict[int, str]) -> dict[str, int]:
    return {c: width for width, characters in by_width.items() for c in characters}


WIDTHS = {False: _widths(_REGULAR), True: _widths(_SEMIBOLD)}
"""Of the regular (False) and the semibold (True) font."""
SLACK = 1.15
"""Text with other characters than these may be so much wider than it is taken to be."""
_OTHER, _WIDE = 560, 1000


def clean(text: str) -> str:
    """Text from models, engines and files without what could harm or mislead: control characters,
    bidirectional overrides, surrogates, characters that nothing shows. Line breaks become spaces.
    Not escaped yet: ``sheet`` does that where it writes markup."""
    # Printable: none of these characters, and no other space than the usual one.
    return text.strip() if text.isprintable() else _cleaned(text)


@lru_cache(maxsize=4096)
def _cleaned(text: str) -> str:
    if text.isascii() and text.isprintable():
        return text.strip()  # most texts: there is nothing to look for
    flat = "".join(" " if c in "\n\r\t\v\f\u2028\u2029" else c for c in text)
    return "".join(c for c in flat if _shown(c)).strip()


def _shown(character: str) -> bool:
    # Cc: control; Cf: bidirectional overrides, zero width; Cs: surrogates; Co, Cn: no glyph.
    return unicodedata.category(character) not in ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")


@lru_cache(maxsize=8192)
def certain(text: str) -> bool:
    """Whether the width of the text is known to the thousandth."""
    return WIDTHS[False].keys() >= set(text)


@lru_cache(maxsize=8192)
def _thousandths(text: str, bold: bool) -> float:
    known = WIDTHS[bold]
    if certain(text):
        return sum(map(known.__getitem__, text))
    return SLACK * sum(known.get(c) or _otherwise(c) for c in text)


def _otherwise(character: str) -> int:
    if unicodedata.category(character) in ("Mn", "Me"):
        return 0
    return _WIDE if unicodedata.east_asian_width(character) in "WF" else _OTHER


def measure(text: str, size: float, bold: bool = False) -> float:
    """Width of a line in pixels. Where it is certain, ``sheet`` holds every font to it; else it is
    rather too large than too small."""
    return _thousandths(text, bold) / 1000 * size


def shorten(text: str, room: float, size: float, bold: bool = False) -> str:
    """The text, or its ends around ``…`` where it is wider than ``room``: what tells long names of
    models apart is often at their end."""
    if measure(text, size, bold) <= room + 0.01:
        return text
    low, high = 0, len(text)
    while low < high:  # the most characters that fit
        middle = (low + high + 1) // 2
        if measure(_ends(text, middle), size, bold) <= room:
            low = middle
        else:
            high = middle - 1
    return _ends(text, low) if low else "…"


def _ends(text: str, kept: int) -> str:
    last = kept // 3
    return f"{text[: kept - last].rstrip()}…{text[len(text) - last :].lstrip() if last else ''}"


def wrap(text: str, room: float, size: float, most: int = 99, bold: bool = False) -> list[str]:
    """Lines no wider than ``room``, at most ``most`` of them; the last holds what is left,
    shortened. A word that has no room in a line is broken after ``/ - _ ,``, or else shortened."""
    lines: list[str] = []
    words = [piece for word in text.split() for piece in _pieces(word, room, size, bold)]
    line = ""
    for i, (word, glued) in enumerate(words):
        joined = line + word if glued or not line else f"{line} {word}"
        if not line or measure(joined, size, bold) <= room:
            line = joined
            continue
        if len(lines) == most - 1:
            rest = "".join(("" if g else " ") + w for w, g in words[i:])
            line += rest
            break
        lines.append(line)
        line = word
    lines.append(line)
    return [shorten(one, room, size, bold) for one in lines if one]


def _pieces(word: str, room: float, size: float, bold: bool) -> list[tuple[str, bool]]:
    """The word in pieces that fit, each with whether it follows without a space."""
    if measure(word, size, bold) <= room:
        return [(word, False)]
    pieces, piece = [], ""
    for c in word:
        piece += c
        if c in "/-_,=.":
            pieces.append(piece)
            piece = ""
    if piece:
        pieces.append(piece)
    return [(p, i > 0) for i, p in enumerate(pieces)]
