"""Exits 0 where every test marked ``docker`` ran: `docker_tests_ran.py JUNIT_XML`.

A test that is skipped, or not collected at all, would let a broken container path pass.
"""

import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree


def main(report: Path) -> int:
    wanted = collected()
    ran = {name for name, skipped in reported(report).items() if not skipped}
    left_out = sorted(wanted - ran)
    print(f"docker tests: {len(wanted)} in the suite, {len(wanted) - len(left_out)} ran")
    for name in left_out:
        print(f"did not run: {name}")
    return 0 if wanted and not left_out else 1


def collected() -> set[str]:
    """Names of the tests marked docker, as the report spells them. Ends the program where pytest
    cannot collect them all."""
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "--collect-only", "-q", "-m", "docker", "-p", "no:xdist"],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        sys.exit(f"docker tests cannot be collected:\n{done.stdout[-2000:]}")
    return {as_reported(line) for line in done.stdout.splitlines() if "::" in line}


def as_reported(node_id: str) -> str:
    """``tests/a/test_b.py::Class::test[x]`` → ``tests.a.test_b.Class::test[x]``."""
    place, _, parameters = node_id.partition("[")
    file, *parts = place.split("::")
    classes = [file.removesuffix(".py").replace("/", "."), *parts[:-1]]
    return ".".join(classes) + "::" + parts[-1] + (f"[{parameters}" if parameters else "")


def reported(report: Path) -> dict[str, bool]:
    """Test name → whether it was skipped."""
    return {
        f"{case.get('classname')}::{case.get('name')}": case.find("skipped") is not None
        for case in ElementTree.parse(report).iter("testcase")
    }


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
