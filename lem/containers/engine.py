"""The engine: images, builds, and containers whose life is one context manager."""

import json
import os
import re
import shutil
import tarfile
import tempfile
import threading
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from lem.containers import faults
from lem.containers.spec import ContainerSpec, Ended, EngineFacts, Image
from lem.errors import EnvironmentFault

Say = Callable[[str], None]

_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_NAME = re.compile("/?lem-[0-9a-f]{12}")
DEFAULT_SOCKET = "unix:///var/run/docker.sock"


class Container:
    """A started container. Waiting blocks on the engine's answer; nothing is polled."""

    def __init__(self, api: Any, name: str, on_output: Callable[[bytes], None]) -> None:
        self.name = name
        self._api = api
        self._ended = threading.Event()
        self._result: Ended | BaseException | None = None
        # Attached before the start, so that not even the first line is missed.
        self._stream = api.attach(name, stdout=True, stderr=True, stream=True)
        self._reader = threading.Thread(target=self._read, args=(on_output,), daemon=True)
        self._reader.start()
        api.start(name)
        self._waiter = threading.Thread(target=self._wait, daemon=True)
        self._waiter.start()

    def wait(self, timeout_s: float | None) -> Ended | None:
        """Its end, or None after ``timeout_s``."""
        if not self._ended.wait(timeout_s):
            return None
        if isinstance(self._result, Ended):
            return self._result
        raise EnvironmentFault(
            f"the Docker engine stopped answering: {self._result}",
            hint="sudo systemctl status docker",
        )

    def signal(self, name: str) -> None:
        """Send a signal to the container's first process; none if it has ended."""
        import docker.errors
        from requests.exceptions import RequestException

        # An engine that is gone is told by waiting.
        with suppress(docker.errors.APIError, RequestException):
            self._api.kill(self.name, name)

    def drain(self, timeout_s: float = 10) -> None:
        """Wait until all of its output has been passed on."""
        self._reader.join(timeout_s)

    def _wait(self) -> None:
        try:
            status = int(self._api.wait(self.name, timeout=None)["StatusCode"])
            state = self._api.inspect_container(self.name)["State"]
            self._result = Ended(status, bool(state.get("OOMKilled")) and status != 0)
        except BaseException as e:  # noqa: BLE001 - raised to whoever waits
            self._result = e
        finally:
            self._ended.set()

    def _read(self, on_output: Callable[[bytes], None]) -> None:
        with suppress(OSError, ValueError):
            for chunk in self._stream:
                on_output(chunk)


class Engine:
    """An answering Docker engine; made by :func:`connect`."""

    def __init__(self, api: Any) -> None:
        self._api = api
        version = api.version()
        info = api.info()
        options = " ".join(info.get("SecurityOptions") or [])
        devices = json.dumps(info.get("DiscoveredDevices") or [])
        self.facts = EngineFacts(
            version=str(version.get("Version", "unknown")),
            api_version=str(version.get("ApiVersion", "unknown")),
            rootless="name=rootless" in options,
            remapped="name=userns" in options,
            selinux="name=selinux" in options,
            nvidia="nvidia" in (info.get("Runtimes") or {})
            or "nvidia.com/gpu" in devices
            or shutil.which("nvidia-container-runtime-hook") is not None,
        )

    def save(self, image_id: str, path: Path) -> None:
        """Write the image to a new file, as a Docker archive."""
        import docker.errors

        try:
            with path.open("xb") as f:
                for chunk in self._api.get_image(image_id):
                    f.write(chunk)
        except docker.errors.APIError as e:
            raise EnvironmentFault(f"the image {image_id} is not saved: {faults.said(e)}") from e

    def image(self, name: str) -> Image | None:
        """The image of that name, tag or id, or None."""
        import docker.errors

        try:
            found = self._api.inspect_image(name)
        except docker.errors.NotFound:
            return None
        except docker.errors.APIError as e:
            raise EnvironmentFault(f"the image {name} cannot be read: {faults.said(e)}") from e
        digests = found.get("RepoDigests") or []
        return Image(
            id=found["Id"],
            digest=digests[0].rpartition("@")[2] if digests else found["Id"],
            tags=tuple(found.get("RepoTags") or ()),
            labels=(found.get("Config") or {}).get("Labels") or {},
            size_bytes=int(found.get("Size", 0)),
            created=str(found.get("Created", "")),
            references=tuple(map(str, digests)),
        )

    def images(self, label: str) -> list[Image]:
        """All images that carry a label, newest first; intermediate layers left out."""
        found = self._api.images(filters={"label": label, "dangling": False})
        images = (self.image(i["Id"]) for i in found)
        return sorted((i for i in images if i), key=lambda i: i.created, reverse=True)

    def pull(self, name: str, say: Say) -> Image:
        """Fetch an image from its registry."""
        import docker.errors

        say(f"pulling {name}")
        try:
            for line in self._api.pull(name, stream=True, decode=True):
                if "error" in line:
                    raise docker.errors.APIError(str(line["error"]))
        except docker.errors.APIError as e:
            raise faults.known(faults.said(e)) or EnvironmentFault(
                f"the image {name} is not here and cannot be pulled: {faults.said(e)}",
                hint="check its name and the connection to its registry (docker login?), "
                "or load it from a file: docker load -i FILE",
                kind="image",
            ) from e
        image = self.image(name)
        assert image is not None
        return image

    def build(
        self,
        context: Path,
        tag: str,
        arguments: Mapping[str, str],
        say: Say,
        cache: bool = True,
    ) -> Image:
        """Build the folder ``context`` (with its Dockerfile) as ``tag``.

        Raises :class:`EnvironmentFault` of kind ``image`` with the build's last lines.
        """
        import docker.errors

        lines: list[str] = []
        with tempfile.TemporaryFile() as archive:
            pack(context, archive)
            archive.seek(0)
            with _typed(tag):
                try:
                    stream = self._api.build(
                        fileobj=archive,
                        custom_context=True,
                        tag=tag,
                        buildargs=dict(arguments),
                        rm=True,
                        forcerm=True,
                        decode=True,
                        nocache=not cache,
                    )
                    for message in stream:
                        _follow(message, lines, say)
                except docker.errors.APIError as e:
                    lines.append(faults.said(e))
                    raise faults.build_fault(tag, lines, arguments) from e
        image = self.image(tag)
        if image is None or (lines and lines[-1].startswith("error: ")):
            raise faults.build_fault(tag, lines, arguments)
        return image

    def remove_image(self, tag: str) -> str | None:
        """Take a tag away, and the image with its last tag; why not, where that cannot be (a
        container uses it), None where it is gone."""
        import docker.errors

        try:
            self._api.remove_image(tag)
        except docker.errors.NotFound:
            return None
        except docker.errors.APIError as e:
            return faults.said(e)
        return None

    @contextmanager
    def container(
        self, spec: ContainerSpec, on_output: Callable[[bytes], None]
    ) -> Iterator[Container]:
        """A running container; on leaving, whatever happened, it is gone.

        ``on_output`` gets its standard output and error as they come, from another thread.
        """
        import docker.errors

        # Named here, not by the engine: it can be removed even if the answer never arrived.
        name = f"lem-{uuid.uuid4().hex[:12]}"
        try:
            with _typed(spec.image):
                self._api.create_container(**_arguments(self._api, spec, name))
                container = Container(self._api, name, on_output)
            yield container
        finally:
            with suppress(docker.errors.NotFound):
                self._remove(name)

    def remove_labelled(
        self, label: str, unwanted: Callable[[Mapping[str, str]], bool]
    ) -> list[Mapping[str, Path]]:
        """Remove the containers of :meth:`container` that carry ``label`` and whose labels are
        ``unwanted``; gives the bind mounts of each: its place in the container → the host's.

        A container has the labels of its image, too, which anybody may have made: they say nothing
        for sure. Its name and its mounts are what its maker said.
        """
        found = self._api.containers(all=True, filters={"label": label})
        removed = [
            c
            for c in found
            if any(_NAME.fullmatch(n) for n in c["Names"]) and unwanted(c.get("Labels") or {})
        ]
        for container in removed:
            self._remove(container["Id"])
        return [
            {m["Destination"]: Path(m["Source"]) for m in c["Mounts"] if m["Type"] == "bind"}
            for c in removed
        ]

    def _remove(self, name: str) -> None:
        import docker.errors
        from requests.exceptions import RequestException

        try:
            self._api.remove_container(name, force=True, v=True)
        except docker.errors.APIError as e:
            # 404: gone; 409: somebody is removing it already.
            if e.status_code not in (404, 409):
                raise EnvironmentFault(
                    f"the container {name} cannot be removed: {faults.said(e)}",
                    hint=f"docker rm -f {name}",
                ) from e
        except RequestException as e:
            raise EnvironmentFault(
                f"the Docker engine stopped answering; the container {name} may be left: {e}",
                hint=f"sudo systemctl status docker; then docker rm -f {name}",
            ) from e


@contextmanager
def connect(environ: Mapping[str, str] | None = None) -> Iterator[Engine]:
    """The Docker engine of this machine, or :class:`EnvironmentFault` with the fix."""
    import docker
    import docker.errors

    address = _address(os.environ if environ is None else environ)
    if not address.startswith("unix://"):
        raise EnvironmentFault(
            f"the Docker engine at {address} is another machine's: lem measures where it runs",
            hint="run lem on that machine, or unset DOCKER_HOST",
        )
    try:
        api = docker.APIClient(base_url=address, version="auto", timeout=120)
    except docker.errors.DockerException as e:
        raise faults.unreachable(e, address) from e
    try:
        yield Engine(api)
    finally:
        api.close()


def pack(folder: Path, archive: Any) -> None:
    """Write ``folder`` to a tar file, the same bytes for the same contents: no times, no owners."""

    def plain(entry: tarfile.TarInfo) -> tarfile.TarInfo:
        entry.mtime = 0
        entry.uid = entry.gid = 0
        entry.uname = entry.gname = ""
        entry.mode = 0o755 if entry.isdir() else 0o644
        return entry

    with tarfile.open(fileobj=archive, mode="w") as tar:
        for path in sorted(folder.rglob("*")):
            tar.add(path, arcname=str(path.relative_to(folder)), recursive=False, filter=plain)


def _arguments(api: Any, spec: ContainerSpec, name: str) -> dict[str, Any]:
    from docker.types import DeviceRequest
    from docker.types import Mount as Bind

    gpus = [
        DeviceRequest(
            driver="nvidia",
            device_ids=[str(i) for i in spec.gpus],
            capabilities=[["gpu", "compute", "utility"]],
        )
    ]
    host = api.create_host_config(
        mounts=[
            Bind(m.target, str(m.source), type="bind", read_only=not m.writable)
            for m in spec.mounts
        ],
        tmpfs=dict(spec.tmpfs),
        network_mode=spec.network,
        mem_limit=spec.memory_bytes,
        memswap_limit=spec.memory_bytes,
        pids_limit=spec.pids,
        shm_size=spec.shm_bytes,
        device_requests=gpus if spec.gpus else None,
        group_add=[str(g) for g in spec.groups] or None,
        cap_drop=["ALL"],
        security_opt=list(spec.security),
        userns_mode=spec.user_namespace,
        read_only=True,
        init=True,
        # The output goes to lem alone: the engine keeps no second copy of it.
        log_config={"Type": "none"},
    )
    return {
        "name": name,
        "image": spec.image,
        "entrypoint": list(spec.command[:1]),
        "command": list(spec.command[1:]),
        "user": spec.user,
        "environment": dict(spec.environment),
        "labels": dict(spec.labels),
        "working_dir": spec.working_folder,
        "stdin_open": False,
        "host_config": host,
    }


def _address(environ: Mapping[str, str]) -> str:
    if environ.get("DOCKER_HOST"):
        return environ["DOCKER_HOST"]
    # Docker Desktop and rootless Docker name their socket in the current context.
    with suppress(Exception):
        from docker.context import ContextAPI

        context = ContextAPI.get_current_context()
        if context is not None and context.Host:
            return str(context.Host).replace("http+unix://", "unix://")
    return DEFAULT_SOCKET


@contextmanager
def _typed(subject: str) -> Iterator[None]:
    """Turns the engine's own errors into ones that say the fix."""
    import docker.errors
    from requests.exceptions import RequestException

    try:
        yield
    except docker.errors.ImageNotFound as e:
        raise EnvironmentFault(
            f"there is no image {subject}", hint="lem images build", kind="image"
        ) from e
    except docker.errors.APIError as e:
        text = faults.said(e)
        raise faults.known(text) or EnvironmentFault(f"Docker refused {subject}: {text}") from e
    except RequestException as e:
        raise EnvironmentFault(
            f"the Docker engine stopped answering: {e}", hint="sudo systemctl status docker"
        ) from e


def _follow(message: Mapping[str, Any], lines: list[str], say: Say) -> None:
    text = message.get("error") or message.get("stream") or ""
    for line in _COLOUR.sub("", str(text)).splitlines():
        if not line.strip():
            continue
        lines.append(f"error: {line}" if "error" in message else line)
        if line.startswith(("Step ", "Successfully installed")):
            say(line if len(line) <= 200 else f"{line[:200]} …")
