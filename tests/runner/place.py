"""``lem serve`` with a queue, as a process of its own."""

import os
import subprocess
from pathlib import Path
from typing import Any

import httpx
import yaml
from server_process import Process
from tick import LEM


class Place:
    """A server, a person who queues campaigns there, and what can be asked of it."""

    def __init__(self, folder: Path, variables: dict[str, str] | None = None) -> None:
        self.data = folder / "archive"
        self.variables = variables or {}
        self.process = self._start()
        self.url = self.process.url
        self.runner_token = self.token("runner", "runners")
        self.submitter = {"Authorization": f"Bearer {self.token('submitter', 'Alice')}"}

    def token(self, role: str, name: str) -> str:
        command = [*LEM, "archive", "token", "--role", role, "--name", name]
        done = subprocess.run(
            [*command, "--data", str(self.data)],
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, **self.variables},
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def restart(self) -> None:
        self.process.kill()
        self.process = self._start(self.process.port)

    def _start(self, port: int | None = None) -> Process:
        return Process(self.data, ["--enrolment", "invitation"], self.variables, port=port)

    def get(self, path: str) -> Any:
        answer = httpx.get(f"{self.url}/api/v1{path}", timeout=30)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def queue(self, spec: dict[str, Any]) -> str:
        answer = httpx.post(
            f"{self.url}/api/v1/campaigns?archive=true",
            content=yaml.safe_dump(spec),
            headers={**self.submitter, "Content-Type": "application/yaml"},
            timeout=30,
        )
        assert answer.status_code == 201, answer.text
        return str(answer.json()["id"])

    def cancel(self, queued: str) -> None:
        answer = httpx.post(
            f"{self.url}/api/v1/queue/{queued}/cancel", headers=self.submitter, timeout=30
        )
        assert answer.status_code == 200, answer.text

    def state(self, queued: str) -> str:
        return str(self.get(f"/queue/{queued}")["state"])

    def campaigns(self) -> list[dict[str, Any]]:
        rows = self.get("/campaigns")["rows"]
        assert isinstance(rows, list)
        return rows
