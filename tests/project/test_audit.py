"""scripts/audit.py: advisories fail, and what was not looked up never passes for clean."""

import importlib.util
from pathlib import Path
from typing import Any

import pytest

CLEAN = {"name": "a", "version": "1", "vulns": []}
SKIPPED = {"name": "b", "skip_reason": "Dependency not found on PyPI"}
BAD = {"name": "c", "version": "2", "vulns": [{"id": "PYSEC-1", "fix_versions": ["3"]}]}


@pytest.fixture
def audit(root: Path) -> Any:
    spec = importlib.util.spec_from_file_location("audit", root / "scripts" / "audit.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("pypi", "osv", "code"),
    [
        ([CLEAN], None, 0),
        ([SKIPPED], None, 4),
        ([CLEAN, SKIPPED], None, 4),
        (None, None, 4),
        ([], [], 4),
        (None, [CLEAN, CLEAN], 0),
        ([CLEAN, SKIPPED], [CLEAN, BAD], 1),
        ([BAD, SKIPPED], None, 1),
    ],
)
def test_what_follows(
    audit: Any, monkeypatch: pytest.MonkeyPatch, pypi: Any, osv: Any, code: int
) -> None:
    monkeypatch.setattr(audit, "asked", lambda lock, service: {"pypi": pypi, "osv": osv}[service])
    assert audit.main(["requirements/dev.txt"]) == code


def test_an_advisory_is_named_with_its_remedy(
    audit: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(audit, "asked", lambda lock, service: [BAD])
    assert audit.main(["x.txt"]) == 1
    assert capsys.readouterr().out == "audit: x.txt: c 2: PYSEC-1, mended in 3\n"
