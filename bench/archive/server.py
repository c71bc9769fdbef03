"""The server as ``lem serve`` starts it, without limits of rate: ``python -m bench.archive.server
DATA PORT``. A person does not ask a hundred times a second; a benchmark does."""

import dataclasses
import os
import sys
from pathlib import Path

from lem.server import running
from lem.server.settings import Rates, ServerSettings

UNLIMITED = Rates(*["1000000/second"] * len(dataclasses.fields(Rates)))


def main(data: str, port: str) -> None:
    settings = ServerSettings(
        data=Path(data),
        database_url=os.environ.get("LEM_DATABASE_URL"),
        enrolment="open",
        rates=UNLIMITED,
        demo=True,
        checkers=int(os.environ.get("LEM_CHECKERS", "0")),
    )
    sock = running.bind("127.0.0.1", int(port))
    running.migrate(settings)
    running.serve(settings, sock)


if __name__ == "__main__":
    main(*sys.argv[1:])
