"""What an engine rejects, without a container: each thing once."""

from pathlib import Path

from tick import lem, write_campaign


def test_one_rejection_of_many_experiments_is_said_once(tmp_path: Path) -> None:
    sweep = {"args.unheard_of": [1], "engine.max_batch_size": [1, 4]}
    file = write_campaign(tmp_path / "c.yaml", sweep=sweep)
    done = lem("campaign", "validate", "--deep", file, cache=tmp_path / "cache", cwd=tmp_path)
    assert done.returncode == 2, done.stderr
    (line,) = [t for t in done.stderr.splitlines() if "unheard_of" in t]
    number = 1 + file.read_text().splitlines().index("  args.unheard_of:")
    assert f"c.yaml:{number}:" in line and ", among others)" in line
