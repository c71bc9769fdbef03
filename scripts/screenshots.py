"""Pictures of the pages for README and docs: ``make screenshots``.

They show the records that come with lem, as a server of this clone shows them. ``--look`` makes
whole pages of an archive of the tests instead, into build/screenshots, for whoever works on pages.
"""

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from tests.browser import chromium  # noqa: E402
from tests.browser.outlets import Outlet, somebody  # noqa: E402
from tests.browser.visits import begin  # noqa: E402
from tests.server_process import Process  # noqa: E402

MOST_BYTES = 200_000
SIZES: dict[str, dict[str, Any]] = {
    "laptop": {"viewport": {"width": 1280, "height": 800}},
    "phone": {
        "viewport": {"width": 390, "height": 844},
        "device_scale_factor": 2,
        "has_touch": True,
        "is_mobile": True,
    },
    "dark": {"viewport": {"width": 1280, "height": 800}, "color_scheme": "dark"},
}


class Shot(NamedTuple):
    name: str
    kind: str
    """Of page; the one with a query, where there is one, of those that pages lead to."""


SHOTS = (
    Shot("home", "home"),
    Shot("explore", "explore"),
    Shot("compare", "compare"),
    Shot("attribution", "attribution"),
    Shot("configuration", "configuration"),
    Shot("result", "result"),
    Shot("everyday", "everyday"),
    Shot("story", "story"),
)
MORE = (
    "attributions",
    "stories",
    "method",
    "glossary",
    "data",
    "api",
    "privacy",
    "terms",
    "changelog",
)


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--look", action="store_true", help="whole pages of a test's archive")
    asked.add_argument("--only", nargs="*", default=[], help="names of pages")
    asked.add_argument("--report", type=Path, help="a campaign's folder, for lem results report")
    options = asked.parse_args()
    out = ROOT / ("build/screenshots" if options.look else "docs/screenshots")
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="lem-screenshots-") as folder:
        data = Path(folder) / "archive"
        _fill(data, test=options.look)
        report = None
        if options.report:
            report = Path(folder) / "report.html"
            _lem("results", "report", str(options.report), "-o", str(report))
        process = Process(data, ("--checkers", "0", "--trust-proxy", "127.0.0.1"))
        try:
            for file in _shoot(process.url, out, options, report):
                print(f"{file.stat().st_size / 1000:6.0f} kB  {file.relative_to(ROOT)}")
        finally:
            process.terminate()


def _fill(data: Path, test: bool) -> None:
    if not test:
        _lem("archive", "seed", "--data", str(data))
        return
    from lem.archive.database import open_database
    from lem.archive.packs import Packs
    from tests.archive.conftest import Archive
    from tests.browser.archives import lively

    data.mkdir()
    database = open_database(None, data)
    database.migrate()
    lively(Archive(database, Packs(data / "packs"), ""), data)
    database.close()


def _lem(*arguments: str) -> None:
    subprocess.run([sys.executable, "-m", "lem.cli.main", *arguments], check=True)


def _shoot(url: str, out: Path, options: Any, report: Path | None) -> Iterator[Path]:
    outlet = Outlet("sqlite", f"{url}/").walk()
    shots = list(SHOTS)
    if options.look:
        shots += [Shot(name, name) for name in MORE]
    with chromium.opened() as browser:
        for size, how in SIZES.items():
            visit = begin(browser, outlet, **how, extra_http_headers=somebody())
            for shot in shots:
                if options.only and shot.name not in options.only:
                    continue
                found = [p.url for p in outlet.pages if p.kind == shot.kind]
                if not found:
                    print(f"no page of the kind {shot.kind}", file=sys.stderr)
                    continue
                visit.go(max(found, key=lambda u: "?id=" in u))
                yield _save(visit.page, out / f"{shot.name}-{size}.png", options.look)
            if report:
                visit.page.goto(report.as_uri())
                yield _save(visit.page, out / f"report-{size}.png", options.look)
            visit.context.close()


def _save(page: Any, file: Path, whole: bool) -> Path:
    page.screenshot(path=file, full_page=whole)
    if not whole:
        _reduce(file)
    return file


def _reduce(file: Path) -> None:
    """To 256 colours, where Pillow is here; a picture that is too large by then is told."""
    try:
        from PIL import Image
    except ImportError:
        pass
    else:
        with Image.open(file) as image:
            few = image.convert("RGB").quantize(256, dither=Image.Dither.NONE)
        few.save(file, optimize=True)
    if file.stat().st_size > MOST_BYTES:
        print(f"{file} is larger than {MOST_BYTES} bytes (pip install pillow)", file=sys.stderr)


if __name__ == "__main__":
    main()
