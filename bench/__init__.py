"""Speed and size of lem itself. Run with ``python -m bench`` (``make bench``)."""

import sys
from pathlib import Path

# Helpers of tests name each other as pytest has it (pyproject.toml: pythonpath).
sys.path.append(str(Path(__file__).parents[1] / "tests"))
