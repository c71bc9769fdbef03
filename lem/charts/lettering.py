"""Words as they are set: made harmless, measured, broken into lines and shortened to their room."""

import unicodedata
from functools import lru_cache

SLACK = 1.1
"""Other fonts than the one measured here, where a browser takes one, are wider by up to so much."""
BOLD = 1.04
_BY_WIDTH = {
    200: "  ", 241: "|", 246: "i", 247: "j", 249: "',.:;·’", 255: "l", 263: "I", 289: "!",
    292: "f", 303: "()[]{}", 311: "-", 331: "°", 338: "t", 347: "r", 350: "/\\", 367: "²₂",
    418: "*", 419: "s", 425: "?z", 426: "“”", 446: "x", 456: "c", 467: "vy", 476: "Y",
    480: "J–", 486: "L", 494: "F", 495: "k", 496: "e", 497: "#$+0123456789<=>^~×±−€≈≤≥",
    500: "_", 504: "ag", 513: "X", 515: "V", 527: "E", 534: "S", 536: "T", 538: "Σ", 539: "Z",
    542: "`o", 544: "Ahu", 547: "n", 553: "b", 555: "dpq", 557: "√", 562: "µ", 566: "P", 569: "R",
    571: "C", 579: "K", 588: "B", 609: "&", 615: "D", 617: "G", 619: "→", 645: "U", 647: "N",
    652: "H", 664: "OQ", 719: "w", 727: "M", 786: "W", 800: "—", 824: "%", 829: "m", 847: "@",
    948: "…",
}  # fmt: skip
"""Of ``fonts/LemSans-Regular.ttf``, in thousandths of the type's size."""
_WIDTHS = {c: width for width, characters in _BY_WIDTH.items() for c in characters}
_OTHER, _WIDE = 560, 1000


def clean(text: str) -> str:
    """Text from models, engines and files without what could harm or mislead: control characters,
    bidirectional overrides, surrogates, characters that nothing shows. Line breaks become spaces.
    Not escaped yet: ``sheet`` does that where it writes markup."""
    flat = "".join(" " if c in "\n\r\t\v\f\u2028\u2029" else c for c in text)
    return " ".join("".join(c for c in flat if _shown(c)).split(" ")).strip()


def _shown(character: str) -> bool:
    # Cc: control; Cf: bidirectional overrides, zero width; Cs: surrogates; Co, Cn: no glyph.
    return unicodedata.category(character) not in ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")


@lru_cache(maxsize=8192)
def _thousandths(text: str) -> int:
    return sum(_WIDTHS.get(c) or _otherwise(c) for c in text)


def _otherwise(character: str) -> int:
    if unicodedata.category(character) in ("Mn", "Me"):
        return 0
    return _WIDE if unicodedata.east_asian_width(character) in "WF" else _OTHER


def measure(text: str, size: float, bold: bool = False) -> float:
    """Width of a line in pixels, rather too large than too small."""
    return _thousandths(text) / 1000 * size * SLACK * (BOLD if bold else 1)


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
