"""Prints the server's OpenAPI description, without starting a server.

python scripts/openapi.py > openapi.json
"""

import json
import sys
import tempfile
from pathlib import Path

from lem.server.app import create_app
from lem.server.settings import ServerSettings


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        description = create_app(ServerSettings(data=Path(folder))).openapi()
    # The version is that of the package, and says nothing about types.
    description["info"]["version"] = ""
    json.dump(description, sys.stdout, indent=1, sort_keys=True)


if __name__ == "__main__":
    main()
