"""Looks into images and prepares models in a Kubernetes cluster, where no Docker is at hand.

What is to be read and written lies on the claim: a task's folder is copied there and back, and
models are prepared where they stay. A pod that needs no network has none.
"""

import os
import re
import secrets
import shutil
import stat
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from lem.clusters import kubernetes_state as state
from lem.clusters.kubernetes_api import Api, Refused, fault
from lem.clusters.kubernetes_staging import TASK, staging_job
from lem.config.kubernetes_spec import KubernetesSpec
from lem.errors import BadInput, EnvironmentFault
from lem.launchers import environment, folders
from lem.launchers.cache import cache_root
from lem.launchers.description import described
from lem.launchers.log import AgentLog
from lem.launchers.protocol import Agent, BackendSetup, Exit, Folders, Prepared, Say, Task

DESCRIBE_S = 1800.0
"""Images are large, and a node pulls them first."""
LIMIT_S = 6 * 3600.0
POLL_S = 2.0
MAX_BYTES = 16 * 2**20
LOG_BYTES = 2**20
NEVER = ("InvalidImageName", "ErrImageNeverPull", "CreateContainerConfigError")
PULLS = ("ErrImagePull", "ImagePullBackOff")
PATIENCE_S = 90.0
"""A registry that does not answer at once may answer later."""
_TOKEN = re.compile(rb"hf_[A-Za-z0-9_]{8,}")
"""As the model hub makes them."""
_DIGEST = re.compile(r"@(sha256:[0-9a-f]{64})$")


class PodAgent:
    """An agent in the pod of a Job."""

    def __init__(
        self,
        api: Api,
        name: str,
        log: Path | None,
        say: Say = lambda _: None,
        hidden: Sequence[str] = (),
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._api = api
        self._name = name
        self._log = log
        self._say = say
        self._hidden = hidden
        self._clock = clock
        self._sleep = sleep
        self._exit: Exit | None = None
        self._failing_since: float | None = None
        self.said = b""
        self.image_id = ""

    def wait(self, timeout_s: float) -> Exit | None:
        """Raises :class:`EnvironmentFault` where it cannot be started."""
        until = self._clock() + timeout_s
        told = ""
        while self._exit is None:
            pod = self._pod()
            if pod is not None and (ended := self._ended(pod)) is not None:
                self._exit = ended
                break
            if pod is not None and (why := state.why(pod)) and why != told:
                self._check_start(why)
                self._say(f"waiting for a pod: {why}")
                told = why
            elif pod is not None and told:
                self._check_start(told)
            if self._clock() >= until:
                return None
            self._sleep(min(POLL_S, max(0.0, until - self._clock())))
        return self._exit

    def stop(self, grace_s: float) -> Exit:
        self.close()
        return self._exit or Exit(143, False, [])

    def close(self) -> None:
        """Nothing of it is left."""
        with suppress(Refused):
            self._api.delete_job(self._name)

    def _pod(self) -> dict[str, Any] | None:
        try:
            found = self._api.pods(f"{TASK}={self._name}")
        except Refused as e:
            raise fault(e, "the pod cannot be read") from e
        return found[-1] if found else None

    def _ended(self, pod: dict[str, Any]) -> Exit | None:
        phase, status, reason = state.ended(pod)
        if phase not in ("Succeeded", "Failed"):
            return None
        name = str((pod.get("metadata") or {}).get("name", ""))
        try:
            self.said = self._api.log(name, LOG_BYTES)
        except Refused as e:
            raise fault(e, f"the log of the pod {name} cannot be read") from e
        self.image_id = state.image_id(pod)
        # Also that of a Secret in the cluster, which only the pod knows, by its form.
        tokens = {t.decode() for t in _TOKEN.findall(self.said)}
        log = AgentLog(self._log or Path(os.devnull), {*self._hidden, *tokens})
        log.write(self.said)
        lines = log.close()
        if phase == "Failed" and not status:
            status, lines = 137, [*lines, f"the pod ended: {reason or 'for no reason told'}"]
        return Exit(status or 0, reason == "OOMKilled", lines)

    def _check_start(self, why: str) -> None:
        reason = why.partition(":")[0]
        if reason in PULLS and self._failing_since is None:
            self._failing_since = self._clock()
        late = self._failing_since is not None and (
            self._clock() - self._failing_since > PATIENCE_S
        )
        if reason in NEVER or (reason in PULLS and late):
            raise EnvironmentFault(
                f"the cluster cannot start the image: {why}",
                hint="see backends.….image and launcher.image_pull_secrets",
                kind="image",
            )


class InCluster:
    """A launcher for what comes before the first run."""

    name = "pod"
    powercap_root = "/sys/class/powercap"

    def __init__(self, spec: KubernetesSpec, api: Api | None = None) -> None:
        self._spec = spec
        self._known = api
        self._say: Say = lambda _: None

    @property
    def _api(self) -> Api:
        if self._known is None:
            self._known = Api(self._spec.context, self._spec.namespace)
        return self._known

    def prepare(self, setup: BackendSetup, say: Say) -> Prepared:
        self._say = say
        image = setup.image or ""
        say(f"asking the cluster what is in {image}")
        words = ["describe", setup.name]
        with self._started(image, words, {}, False, None, 0, DESCRIBE_S) as agent:
            ended = agent.wait(DESCRIBE_S)
        found = described(agent.said, None if ended is None else ended.status, setup.name)
        digest = _DIGEST.search(image) or _DIGEST.search(agent.image_id)
        if digest is None:
            raise EnvironmentFault(
                f"the cluster does not tell the digest of {image}",
                hint=f"name it: backends.{setup.name}.image: NAME@sha256:…",
                kind="image",
            )
        name = image.partition("@")[0]
        last = name.rpartition("/")[2]
        pinned = f"{name[: len(name) - len(last)]}{last.partition(':')[0]}@{digest[1]}"
        return Prepared(setup, found, image=pinned, digest=digest[1])

    def inside(self, folders: Folders) -> Folders:
        return Folders(
            run=self._place(folders.run),
            requests=folders.requests and folders.requests.absolute(),
            models=folders.models and folders.models.absolute(),
            source=folders.source and self._on_claim(folders.source.resolve()),
            compiled=folders.compiled and folders.compiled.absolute(),
        )

    def gpus_inside(self, gpus: Sequence[int]) -> list[int]:
        return list(range(len(gpus)))

    @contextmanager
    def start(self, task: Task) -> Iterator[Agent]:
        place = self._place(task.folders.run)
        place.mkdir(parents=True)
        try:
            shutil.copytree(task.folders.run, place, dirs_exist_ok=True)
            self._give(place)
            seen = {place: True}
            if task.folders.models is not None:
                models = self._on_claim(task.folders.models.absolute())
                seen[models] = task.verb == "stage"
                if seen[models]:
                    self._give(models)
            if task.folders.source is not None:
                seen[self._on_claim(_whole(task.folders.source))] = False
            log = task.folders.run / "agent.log"
            words = [task.verb, str(place / task.document)]
            memory = self._spec.memory_bytes or task.memory_bytes
            with self._started(
                task.prepared.image or "",
                words,
                seen,
                task.network,
                memory,
                len(task.gpus),
                LIMIT_S,
                log,
                [*task.secrets.values(), *environment.passwords(task.secrets)],
            ) as agent:
                yield agent
            _bring_back(place, task.folders.run)
        finally:
            shutil.rmtree(place, ignore_errors=True)

    def reclaim(self, owner: str) -> int:
        return 0

    @contextmanager
    def _started(
        self,
        image: str,
        words: list[str],
        seen: dict[Path, bool],
        network: bool,
        memory: int | None,
        gpus: int,
        limit_s: float,
        log: Path | None = None,
        hidden: Sequence[str] = (),
    ) -> Iterator[PodAgent]:
        name = f"lem-staging-{secrets.token_hex(8)}"
        variables = {
            **environment.settings(os.environ),
            **environment.common("/tmp", network, ""),
            "LEM_CONTAINER": "kubernetes",
        }
        made = staging_job(
            name, self._spec, image, words, variables, seen, network, memory, gpus, limit_s
        )
        try:
            self._api.create_job(made)
        except Refused as e:
            raise fault(e, "the Job was not taken") from e
        agent = PodAgent(self._api, name, log, self._say, hidden)
        try:
            yield agent
        finally:
            agent.close()

    def _place(self, run: Path) -> Path:
        """Where pods find a folder of this machine."""
        return cache_root().absolute() / "staging" / run.name

    def _on_claim(self, path: Path) -> Path:
        if not path.is_relative_to(self._spec.mount):
            raise BadInput(
                f"{path} is not on the claim {self._spec.claim}, so pods do not see it",
                hint=f"put it below {self._spec.mount}",
            )
        return path

    def _give(self, folder: Path) -> None:
        if os.getuid() == 0 and self._spec.user and self._spec.group:
            folders.give(folder, self._spec.user, self._spec.group)


def _whole(source: Path) -> Path:
    """The folder of a local model with all that its links lead to: in the hub's cache these are two
    folders up."""
    source = source.resolve()
    return source.parent.parent if source.parent.name == "snapshots" else source


def _bring_back(place: Path, run: Path) -> None:
    """The documents that an agent left. Links are not followed, and nothing is large. What it has
    said is lem's to write."""
    for found in sorted(p for p in place.iterdir() if p.name != "agent.log"):
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        with suppress(OSError):
            handle = os.open(found, flags)
            with os.fdopen(handle, "rb") as f:
                about = os.fstat(f.fileno())
                if stat.S_ISREG(about.st_mode) and about.st_size <= MAX_BYTES:
                    (run / found.name).write_bytes(f.read(MAX_BYTES))


def stand_in(spec: KubernetesSpec) -> Callable[[], InCluster]:
    """Makes what stands in for Docker, of this cluster."""
    own = spec.for_user(os.getuid(), os.getgid())
    return lambda: InCluster(own)
