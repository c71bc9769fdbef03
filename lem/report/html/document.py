"""The report as one HTML file: no request leaves it, and nothing runs in it but its own script."""

import base64
import hashlib
import re

from markupsafe import Markup

from lem import __version__
from lem.analysis.text import plain
from lem.errors import EnvironmentFault
from lem.report.html.gather import Report
from lem.web import assets, rendering
from lem.web.strings import text
from lem.web.words import day

ENTRY = "src/report.ts"
_FACE = re.compile(r"@font-face\s*\{[^}]*\}")
_FILE = re.compile(r"url\(['\"]?(?:\./)?([^)'\"]*-latin-wght-normal[^)'\"]*\.woff2)['\"]?\)")
"""The one file that English and the signs of figures need."""


def document(report: Report) -> str:
    """Raises :class:`EnvironmentFault` where the front end was not built."""
    style, script = _assets()
    return rendering.alone(
        "report/report.html",
        {
            "r": report,
            "policy": policy(style, script),
            "style": Markup(style),
            "script": Markup(script),
            "version": __version__,
            "glance": _glance(report),
            "sections": _sections(report),
            "arms": _arms(report),
        },
    )


def policy(style: str, script: str) -> str:
    """Nothing is loaded, and of what stands in the file only these two take effect."""
    return (
        f"default-src 'none'; img-src data:; font-src data:; style-src '{_hash(style)}'; "
        f"script-src '{_hash(script)}'; base-uri 'none'; form-action 'none'"
    )


def _hash(content: str) -> str:
    digest = hashlib.sha256(content.encode()).digest()
    return f"sha256-{base64.b64encode(digest).decode()}"


def _assets() -> tuple[str, str]:
    """Style and script of the entry, with its font inside."""
    entry = assets.entry(ENTRY)
    style = "".join(assets.read(name).decode() for name in entry.styles)
    style = _FACE.sub(_with_font, style).strip()
    script = assets.read(entry.script).decode().strip()
    if re.search(r"url\((?!data:)|@import", style) or "</" in style:
        raise EnvironmentFault("the report's style is not self-contained", hint="make web")
    if "</script" in script.lower() or "<!--" in script or re.search(r"\bimport\b", script):
        raise EnvironmentFault("the report's script is not self-contained", hint="make web")
    return style, script


def _with_font(face: re.Match[str]) -> str:
    """A rule for a font with the font in it; nothing where it is of letters that are not needed."""
    file = _FILE.search(face[0])
    if file is None:
        return ""
    font = base64.b64encode(assets.read(file[1])).decode()
    return face[0].replace(file[0], f"url(data:font/woff2;base64,{font})")


def _glance(r: Report) -> list[tuple[str, str]]:
    """What a reader asks next: of what, on what, how often, read by what, when."""
    found: list[tuple[str, str]] = []
    if r.models:
        found.append((text("report.glance.model"), ", ".join(r.models[:4])))
    if r.hardware:
        found.append((text("report.glance.hardware"), r.hardware))
    c = r.comparison
    if c is not None:
        found.append((text("report.glance.baseline"), plain(c.baseline_name)))
        meters = ", ".join(f"{kind}: {name}" for kind, name in c.meters.items() if name)
        read = text("report.glance.estimated") if c.estimated else plain(meters)
        found.append((text("report.glance.energy"), read))
    runs = text("report.glance.counted", n=r.runs.counted)
    if c is not None:
        runs += text("report.glance.blocks", n=c.blocks_done)
    found.append((text("report.glance.runs"), runs))
    if first := day(r.runs.first):
        last = day(r.runs.last)
        found.append((text("report.glance.date"), first if first == last else f"{first} – {last}"))
    return found


def _sections(r: Report) -> list[str]:
    there = {
        "arms": r.arms,
        "fronts": r.fronts,
        "shares": r.shares,
        "load": r.load,
        "quality": r.comparison,
        "traces": r.traces,
        "budget": r.budget,
        "runs": True,
        "environment": True,
        "method": True,
        "origin": True,
    }
    return [name for name, found in there.items() if found]


def _arms(r: Report) -> list[tuple[str, str]]:
    return [] if r.comparison is None else [(a.name, a.arm.arm_id) for a in r.comparison.arms]
