"""Compares the lock files with published advisories (pip-audit; PyPI's, else OSV's).

Exit codes: 0 all were looked up and none has an advisory; 1 some have one; 4 some or all could not
be looked up. pip-audit alone ends with 0 where a package index answers for none of them.

    python scripts/audit.py requirements/dev.txt …
"""

import json
import subprocess
import sys
from typing import Any

NOT_LOOKED_UP = 4
SERVICES = ("pypi", "osv")
PATIENCE_S = 300


def asked(lock: str, service: str) -> list[dict[str, Any]] | None:
    """What pip-audit says of each package; None where the service does not answer."""
    command = [sys.executable, "-P", "-m", "pip_audit", "--format", "json", "--service", service]
    command += ["--progress-spinner", "off", "--disable-pip", "--require-hashes", "-r", lock]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=PATIENCE_S, check=False
        )
        found: list[dict[str, Any]] = json.loads(done.stdout)["dependencies"]
    except (subprocess.TimeoutExpired, ValueError, KeyError):
        return None
    return found


def judged(found: list[dict[str, Any]] | None) -> tuple[list[str], int, int]:
    """Advisories in words; how many packages were looked up, and how many were not."""
    if found is None:
        return [], 0, 1
    bad = [
        f"{p['name']} {p['version']}: {v['id']}, mended in {', '.join(v['fix_versions']) or 'none'}"
        for p in found
        for v in p.get("vulns", ())
    ]
    skipped = sum("skip_reason" in p for p in found)
    return bad, len(found) - skipped, skipped


def audit(lock: str) -> tuple[list[str], int, int]:
    """By the first service that looks all of them up; else by the one that looks most up."""
    best: tuple[list[str], int, int] = ([], 0, 1)
    for service in SERVICES:
        result = judged(asked(lock, service))
        if result[1] and not result[2]:
            return result
        best = max(best, result, key=lambda r: r[1])
    return best


def main(locks: list[str]) -> int:
    code = 0
    for lock in locks:
        bad, looked_up, missed = audit(lock)
        for line in bad:
            print(f"audit: {lock}: {line}")
        print(f"audit: {lock}: {looked_up} looked up, {len(bad)} advisories", file=sys.stderr)
        if bad:
            code = 1
        elif (missed or not looked_up) and code == 0:
            code = NOT_LOOKED_UP
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
