"""A played Kubernetes API, with a played Job controller and kubelet behind it.

What it answers has the form and the codes of the API's documentation: 201 and 409 AlreadyExists,
pages with ``continue`` and 410 Expired, 403, 404, 422 for what the API's own schemas refuse, delete
with ``propagationPolicy``. A pod's containers run as processes of this machine, one after another,
with the manifest's command, arguments and environment. No cluster is like it in all: it only holds
lem to what is written.
"""

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import kubernetes_validate
import yaml

NAMESPACE = "energy"
NODE = "node-1"
INDEX = "batch.kubernetes.io/job-completion-index"
PATHS = re.compile(
    rf"/(?:api/v1|apis/[a-z0-9.]+/v1)/namespaces/{NAMESPACE}/([a-z]+)(?:/([a-z0-9.-]+)(/log)?)?"
)


@dataclass
class Canned:
    """An answer in place of the right one."""

    status: int
    body: Mapping[str, Any]
    headers: Mapping[str, str] = field(default_factory=dict)


def status(code: int, reason: str, message: str) -> dict[str, Any]:
    return {
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": message, "reason": reason, "code": code,
    }  # fmt: skip


def now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


class Cluster:
    """Its objects, and what works on them."""

    def __init__(
        self, image: Mapping[str, str], runs: bool = True, volume: Path = Path("/nowhere")
    ) -> None:
        """``image``: the environment that every image has. ``runs``: whether pods run.
        ``volume``: where the claim is mounted."""
        self.volume = volume
        self.docker: str | None = None
        """An image that stands for all; None: containers are processes of this machine."""
        self.image = image
        self.runs = runs
        self.objects: dict[tuple[str, str], dict[str, Any]] = {}
        self.asked: list[tuple[str, str, dict[str, list[str]]]] = []
        self.canned: list[tuple[str, str, Canned]] = []
        """Method, part of a path, answer: each once, in this order."""
        self.page = 500
        self.containers: list[tuple[str, str]] = []
        """Pod and container, as they were begun."""
        self.secrets: dict[str, str] = {}
        self.said: dict[str, bytes] = {}
        """Pod → what its last container wrote."""
        self.image_id = "registry.example.org/played@sha256:" + "0123456789abcdef" * 4
        self._lock = threading.RLock()
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._stopped = False

    # What tests do to it.

    def answer_once(self, method: str, path: str, canned: Canned) -> None:
        self.canned.append((method, path, canned))

    def of(self, kind: str) -> list[dict[str, Any]]:
        with self._lock:
            return [o for (k, _), o in sorted(self.objects.items()) if k == kind]

    def kill(self, pod: str, disrupted: bool) -> None:
        """End what runs in a pod, as SIGKILL does; ``disrupted``: as when a node is drained."""
        with self._lock:
            found = self.objects["pods", pod]
            if disrupted:
                conditions = found["status"].setdefault("conditions", [])
                conditions.append({"type": "DisruptionTarget", "status": "True"})
            if (process := self._processes.get(pod)) is not None:
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)

    def terminate(self, pod: str) -> None:
        with self._lock, suppress(KeyError, ProcessLookupError):
            os.kill(self._processes[pod].pid, signal.SIGTERM)

    def stop(self) -> None:
        self._stopped = True
        with self._lock:
            for process in self._processes.values():
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)

    # What the API does.

    def handle(self, method: str, url: str, body: bytes) -> tuple[int, Mapping[str, Any], Any]:
        parts = urlsplit(url)
        query = parse_qs(parts.query)
        with self._lock:
            self.asked.append((method, parts.path, query))
            for i, (m, path, canned) in enumerate(self.canned):
                if m == method and path in parts.path:
                    del self.canned[i]
                    return canned.status, canned.headers, canned.body
            found = PATHS.fullmatch(parts.path)
            if found is None:
                return 404, {}, status(404, "NotFound", "the server could not find it")
            kind, name = found[1], found[2]
            if method == "POST":
                return self._create(kind, json.loads(body))
            if method == "GET" and name is None:
                return self._list(kind, query)
            there = self.objects.get((kind, name))
            if there is None:
                return 404, {}, status(404, "NotFound", f'{kind} "{name}" not found')
            if method == "DELETE":
                policy = (query.get("propagationPolicy") or [""])[0]
                if not policy and body:
                    policy = json.loads(body).get("propagationPolicy", "")
                return self._delete(kind, name, policy)
            if found[3]:
                return 200, {}, self.said.get(name, b"")
            return 200, {}, there

    def _create(self, kind: str, made: dict[str, Any]) -> tuple[int, Mapping[str, Any], Any]:
        name = made["metadata"]["name"]
        if (kind, name) in self.objects:
            return 409, {}, status(409, "AlreadyExists", f'{kind}.batch "{name}" already exists')
        try:
            kubernetes_validate.validate(made, "1.37", strict=True)
        except kubernetes_validate.ValidationError as e:
            return 422, {}, status(422, "Invalid", f"Job {name} is invalid: {e.message}")
        made["metadata"] |= {"uid": str(uuid.uuid4()), "creationTimestamp": now()}
        made["status"] = {}
        self.objects[kind, name] = made
        if self.runs and not made["spec"].get("suspend"):
            threading.Thread(target=self._control, args=(name,), daemon=True).start()
        return 201, {}, made

    def _list(self, kind: str, query: dict[str, list[str]]) -> tuple[int, Mapping[str, Any], Any]:
        selected = _selector((query.get("labelSelector") or [""])[0])
        found = [o for o in self.of(kind) if selected(o["metadata"].get("labels") or {})]
        limit = min(int((query.get("limit") or ["500"])[0]), self.page)
        start = int((query.get("continue") or ["0"])[0])
        about: dict[str, Any] = {"resourceVersion": "1"}
        if start + limit < len(found):
            about["continue"] = str(start + limit)
        return 200, {}, {"kind": "List", "metadata": about, "items": found[start : start + limit]}

    def _delete(self, kind: str, name: str, policy: str) -> tuple[int, Mapping[str, Any], Any]:
        there = self.objects[kind, name]
        there["metadata"]["deletionTimestamp"] = now()
        pods = [p for p in self.of("pods") if _job_of(p) == name]
        for pod in pods:
            self.kill(pod["metadata"]["name"], disrupted=False)
        if policy == "Foreground" and pods:
            # It stays until its pods are gone.
            there["metadata"]["finalizers"] = ["foregroundDeletion"]
            threading.Thread(target=self._collect, args=(name,), daemon=True).start()
        else:
            del self.objects[kind, name]
        return 200, {}, there

    def _collect(self, name: str) -> None:
        time.sleep(0.2)
        with self._lock:
            for pod in [p for p in self.of("pods") if _job_of(p) == name]:
                del self.objects["pods", pod["metadata"]["name"]]
            self.objects.pop(("jobs", name), None)

    # What the Job controller does.

    def _control(self, name: str) -> None:
        threads: dict[int, threading.Thread] = {}
        completed: set[int] = set()
        failed: set[int] = set()

        def one(index: int) -> None:
            while not self._stopped:
                pod = self._pod(name, index)
                if pod is None:
                    return
                phase = self._kubelet(pod)
                disrupted = any(
                    c["type"] == "DisruptionTarget" for c in pod["status"].get("conditions", [])
                )
                with self._lock:
                    if phase == "Succeeded":
                        completed.add(index)
                    elif not disrupted:
                        failed.add(index)
                    else:
                        continue
                return

        spec = self.objects["jobs", name]["spec"]
        waiting = list(range(spec["completions"]))
        while not self._stopped:
            with self._lock:
                job = self.objects.get(("jobs", name))
                if job is None or "deletionTimestamp" in job["metadata"]:
                    return
                running = [i for i, t in threads.items() if t.is_alive()]
                while waiting and len(running) < spec["parallelism"]:
                    index = waiting.pop(0)
                    threads[index] = threading.Thread(target=one, args=(index,), daemon=True)
                    threads[index].start()
                    running.append(index)
                job["status"] = {
                    "active": len(running),
                    "completedIndexes": _ranges(completed),
                    "failedIndexes": _ranges(failed),
                }
                if not waiting and not running:
                    kind = "Failed" if failed else "Complete"
                    job["status"]["conditions"] = [{"type": kind, "status": "True"}]
                    return
            time.sleep(0.05)

    def _pod(self, job: str, index: int) -> dict[str, Any] | None:
        with self._lock:
            owner = self.objects.get(("jobs", job))
            if owner is None or "deletionTimestamp" in owner["metadata"]:
                return None
            template = owner["spec"]["template"]
            name = f"{job}-{index}-{uuid.uuid4().hex[:5]}"
            pod = {
                "metadata": {
                    "name": name,
                    "uid": str(uuid.uuid4()),
                    "creationTimestamp": datetime.now(UTC).isoformat(),
                    "labels": {
                        **template["metadata"]["labels"],
                        INDEX: str(index),
                        "batch.kubernetes.io/job-name": job,
                    },
                },
                "spec": {**json.loads(json.dumps(template["spec"])), "nodeName": NODE},
                "status": {"phase": "Pending"},
            }
            self.objects["pods", name] = pod
            return pod

    # What kubelet does.

    def _kubelet(self, pod: dict[str, Any]) -> str:
        spec = pod["spec"]
        init = spec.get("initContainers", [])
        for i, container in enumerate([*init, *spec["containers"]]):
            key = "initContainerStatuses" if i < len(init) else "containerStatuses"
            with self._lock:
                if self._stopped or any(
                    c["type"] == "DisruptionTarget" for c in pod["status"].get("conditions", [])
                ):
                    pod["status"]["phase"] = "Failed"
                    return "Failed"
                process = self._start(pod, container)
                self._processes[pod["metadata"]["name"]] = process
                told = pod["status"].setdefault(key, [])
                told.append(
                    {
                        "name": container["name"],
                        "imageID": self.image_id,
                        "state": {"running": {"startedAt": now()}},
                    }
                )
                if key == "containerStatuses":
                    pod["status"]["phase"] = "Running"
            assert process.stdout is not None
            said = process.stdout.read()
            code = process.wait()
            with suppress(ProcessLookupError):  # as the end of a container ends all that is in it
                os.killpg(process.pid, signal.SIGKILL)
            with self._lock:
                self.said[pod["metadata"]["name"]] = said
                told[-1]["state"] = {"terminated": {"exitCode": code if code >= 0 else 128 - code}}
                if code != 0:
                    pod["status"]["phase"] = "Failed"
                    return "Failed"
        pod["status"]["phase"] = "Succeeded"
        return "Succeeded"

    def _start(self, pod: dict[str, Any], container: dict[str, Any]) -> "subprocess.Popen[bytes]":
        for mount in container["volumeMounts"]:
            if mount["name"] == "campaign":
                # At the same path here and there; what is missing kubelet would make, as root.
                inside = self.volume / mount.get("subPath", "")
                assert inside == Path(mount["mountPath"]) and inside.is_dir(), mount
        about = pod["metadata"]
        fields = {
            "metadata.name": about["name"], "metadata.uid": about["uid"],
            "spec.nodeName": pod["spec"]["nodeName"],
        }  # fmt: skip
        variables = {**self.image, "JOB_COMPLETION_INDEX": about["labels"][INDEX]}
        for one in container["env"]:
            value = one.get("value")
            if value is None and "secretKeyRef" in one["valueFrom"]:
                value = self.secrets[one["valueFrom"]["secretKeyRef"]["name"]]
            elif value is None:
                value = fields[one["valueFrom"]["fieldRef"]["fieldPath"]]
            variables[one["name"]] = _put_in(value, variables)
        # Programs of the machine stand in for the cluster's own variables.
        variables["KUBERNETES_SERVICE_HOST"] = "10.0.0.1"
        words = [_put_in(w, variables) for w in [*container["command"], *container["args"]]]
        self.containers.append((about["name"], container["name"]))
        if self.docker is None:
            assert words[0] == "python3"
            command = [sys.executable, *words[1:]]
        else:
            command = self._docker_command(pod, container, variables, words)
        return subprocess.Popen(
            command,
            cwd=container["workingDir"],
            env=variables if self.docker is None else None,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    def _docker_command(
        self,
        pod: dict[str, Any],
        container: dict[str, Any],
        variables: Mapping[str, str],
        words: list[str],
    ) -> list[str]:
        """The same by Docker, with what the manifest says of the container's security, the user
        and the volumes, and with what the NetworkPolicy says."""
        assert self.docker is not None
        who, shut = pod["spec"]["securityContext"], container["securityContext"]
        assert shut["readOnlyRootFilesystem"] and not shut["allowPrivilegeEscalation"]
        own = {n: v for n, v in variables.items() if n not in self.image}
        options = [
            *("--network", "none", "--read-only", "--security-opt", "no-new-privileges"),
            *(f"--cap-drop={c}" for c in shut["capabilities"]["drop"]),
            f"--user={who['runAsUser']}:{who['runAsGroup']}",
            f"--workdir={container['workingDir']}",
            *(f"--env={n}={v}" for n, v in own.items()),
        ]
        for mount in container["volumeMounts"]:
            path, how = mount["mountPath"], ":ro" if mount.get("readOnly") else ""
            memory = f"--tmpfs={path}:rw,exec,mode=1777"
            options.append(
                f"--volume={path}:{path}{how}" if mount["name"] == "campaign" else memory
            )
        entry = ["--entrypoint", words[0], self.docker, *words[1:]]
        return ["docker", "run", "--rm", "--init=false", *options, *entry]


def _put_in(text: str, variables: Mapping[str, str]) -> str:
    """As kubelet does: ``$(NAME)``, where there is one; ``$$`` is a plain ``$``."""

    def found(m: re.Match[str]) -> str:
        return "$" if m[0] == "$$" else variables.get(m[1], m[0])

    return re.sub(r"\$\$|\$\(([A-Za-z_][A-Za-z0-9_]*)\)", found, text)


def _job_of(pod: Mapping[str, Any]) -> str:
    return str(pod["metadata"]["labels"].get("batch.kubernetes.io/job-name"))


def _ranges(indices: set[int]) -> str:
    return ",".join(str(i) for i in sorted(indices))


def _selector(text: str) -> Callable[[Mapping[str, str]], bool]:
    if not text:
        return lambda labels: True
    if (m := re.fullmatch(r"([^ ]+) in \(([^)]*)\)", text)) is not None:
        key, values = m[1], m[2].split(",")
        return lambda labels: labels.get(key) in values
    key, _, value = text.partition("=")
    return lambda labels: labels.get(key) == value


@contextmanager
def serve(cluster: Cluster, folder: Path) -> Iterator[Path]:
    """The API of a cluster; a kubeconfig for it."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            code, headers, said = cluster.handle(self.command, self.path, body)
            data = said if isinstance(said, bytes) else json.dumps(said).encode()
            self.send_response(code)
            for name, value in headers.items():
                self.send_header(name, str(value))
            kind = "text/plain" if isinstance(said, bytes) else "application/json"
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_POST = do_DELETE = _answer

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    path = folder / "kubeconfig"
    path.write_text(
        yaml.safe_dump(
            {
                "apiVersion": "v1",
                "kind": "Config",
                "current-context": "played",
                "clusters": [
                    {
                        "name": "played",
                        "cluster": {"server": f"http://127.0.0.1:{server.server_port}"},
                    }
                ],
                "users": [{"name": "ada", "user": {"token": "not-a-secret"}}],
                "contexts": [
                    {
                        "name": "played",
                        "context": {"cluster": "played", "user": "ada", "namespace": NAMESPACE},
                    }
                ],
            }
        )
    )
    try:
        yield path
    finally:
        server.shutdown()
        cluster.stop()
        server.server_close()
        thread.join(10)
