"""The Kubernetes API, as little of it as lem needs, by the official client. The only module that
imports the package ``kubernetes``.

What comes back is plain JSON. A busy or restarting API server is asked again; whatever else it
answers is an error with the fix.
"""

import json
import os
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from lem.errors import EnvironmentFault

TIMEOUT_S = (10.0, 60.0)
"""To connect, and to answer."""
TRIES = 5
WAIT_S = 1.0
MAX_WAIT_S = 30.0
AGAIN = (429, 500, 502, 503, 504)
PAGE = 500
MAX_PAGES = 200
LAST_LINES = 400
ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
INSTALL = "pip install 'lem-energy[kubernetes]'"
RBAC = (
    "the Role in deploy/kubernetes/base/submit.yaml is what is needed: kubectl apply -k "
    "deploy/kubernetes/base, then bind it to whoever submits"
)


class Refused(Exception):
    """An answer of the API that is no success."""

    def __init__(self, status: int, reason: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.reason = reason
        self.message = message


class Api:
    """A cluster's API, in one namespace."""

    def __init__(
        self,
        context: str | None,
        namespace: str | None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """Raises :class:`EnvironmentFault` where the client or its configuration is missing."""
        self._sleep = sleep
        self._client, own = _client(context)
        self.namespace = namespace or own

    def create_job(self, body: Mapping[str, Any]) -> None:
        """A field that this cluster's version does not know is refused, not let fall."""
        self._ask("BatchV1Api", "create_namespaced_job", body=dict(body), field_validation="Strict")

    def job(self, name: str) -> dict[str, Any] | None:
        return self._found("BatchV1Api", "read_namespaced_job", name=name)

    def jobs(self, selector: str) -> list[dict[str, Any]]:
        return self._listed("BatchV1Api", "list_namespaced_job", selector)

    def pods(self, selector: str) -> list[dict[str, Any]]:
        return self._listed("CoreV1Api", "list_namespaced_pod", selector)

    def delete_job(self, name: str) -> None:
        """With its pods. One that is gone already is no error."""
        self._found(
            "BatchV1Api", "delete_namespaced_job", name=name, propagation_policy="Foreground"
        )

    def log(self, pod: str, most: int) -> bytes:
        """The end of what its only container has said, at most so many bytes."""
        data: bytes = self._answer(
            "CoreV1Api", "read_namespaced_pod_log", name=pod, tail_lines=LAST_LINES
        )
        return data[-most:]

    def policy(self, name: str) -> dict[str, Any] | None:
        return self._found("NetworkingV1Api", "read_namespaced_network_policy", name=name)

    def _found(self, group: str, call: str, **arguments: Any) -> dict[str, Any] | None:
        try:
            return self._ask(group, call, **arguments)
        except Refused as e:
            if e.status == 404 and e.reason == "NotFound":
                return None
            raise

    def _listed(self, group: str, call: str, selector: str) -> list[dict[str, Any]]:
        for _ in range(TRIES):
            try:
                return self._pages(group, call, selector)
            except Refused as e:
                # The place in the list was forgotten meanwhile.
                if e.status != 410:
                    raise
        raise Refused(410, "Expired", "the list changes faster than it can be read")

    def _pages(self, group: str, call: str, selector: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        more: dict[str, str] = {}
        for _ in range(MAX_PAGES):
            said = self._ask(group, call, label_selector=selector, limit=PAGE, **more)
            items, about = said.get("items"), said.get("metadata")
            found += [i for i in items if isinstance(i, dict)] if isinstance(items, list) else []
            token = about.get("continue") if isinstance(about, dict) else None
            if not token or not isinstance(token, str):
                break
            more = {"_continue": token}
        return found

    def _ask(self, group: str, call: str, **arguments: Any) -> dict[str, Any]:
        return _parsed(self._answer(group, call, **arguments))

    def _answer(self, group: str, call: str, **arguments: Any) -> bytes:
        import kubernetes.client
        import urllib3.exceptions

        method = getattr(getattr(kubernetes.client, group)(self._client), call)
        tried = 0
        while True:
            tried += 1
            wait_s = min(MAX_WAIT_S, WAIT_S * 2 ** (tried - 1))
            try:
                answer = method(
                    namespace=self.namespace,
                    _preload_content=False,
                    _request_timeout=TIMEOUT_S,
                    **arguments,
                )
                return bytes(answer.data)
            except kubernetes.client.ApiException as e:
                if e.status not in AGAIN or tried == TRIES:
                    raise _refused(e) from e
                wait_s = _asked_to_wait(e.headers) or wait_s
            except (urllib3.exceptions.HTTPError, OSError) as e:
                if tried == TRIES:
                    raise EnvironmentFault(
                        f"the Kubernetes API does not answer: {e}",
                        hint="`kubectl version` tells whether it is there; the command goes on "
                        "later where it stopped",
                    ) from e
            self._sleep(wait_s)


def fault(refused: Refused, about: str) -> EnvironmentFault:
    """As an error with its fix. ``about``: what was asked for."""
    hint = None
    if refused.status == 401:
        hint = "log in to the cluster again; `kubectl auth whoami` tells who you are to it"
    elif refused.status == 403:
        quota = "exceeded quota" in refused.message
        hint = "ask for less in `launcher`, or wait for others' pods" if quota else RBAC
    elif refused.status == 404:
        hint = "see launcher.namespace in the campaign file, and `kubectl get namespaces`"
    elif refused.status in (400, 422):
        hint = "see `launcher` in the campaign file; `lem campaign render` prints what was asked"
    elif refused.status in AGAIN:
        hint = "the API server is busy or away; the same command goes on later"
    return EnvironmentFault(f"{about}: {refused.message}", hint=hint)


def _client(context: str | None) -> tuple[Any, str]:
    """The configured client, and the namespace that goes with it."""
    try:
        import kubernetes.client
        import kubernetes.config
    except ImportError as e:
        raise EnvironmentFault("the package kubernetes is not installed", hint=INSTALL) from e
    settings = kubernetes.client.Configuration()
    namespace = "default"
    try:
        if context is None and _in_cluster():
            kubernetes.config.load_incluster_config(client_configuration=settings)
            namespace = (ACCOUNT / "namespace").read_text(encoding="utf-8").strip() or namespace
        else:
            # The package has read this variable when it was imported.
            file = os.environ.get("KUBECONFIG") or None
            kubernetes.config.load_kube_config(file, context, settings)
            known, active = kubernetes.config.list_kube_config_contexts(file)
            chosen = next((c for c in known if c.get("name") == context), active)
            namespace = chosen.get("context", {}).get("namespace") or namespace
    except (kubernetes.config.ConfigException, OSError) as e:
        raise EnvironmentFault(
            f"no Kubernetes cluster is known here: {e}",
            hint="set KUBECONFIG, or write the job with `lem campaign render --format k8s` and "
            "apply it where a cluster is known",
        ) from e
    settings.retries = False
    return kubernetes.client.ApiClient(settings), str(namespace)


def _in_cluster() -> bool:
    named = os.environ.get("KUBECONFIG") or (Path.home() / ".kube" / "config").exists()
    return not named and "KUBERNETES_SERVICE_HOST" in os.environ and ACCOUNT.is_dir()


def _parsed(data: bytes) -> dict[str, Any]:
    try:
        said = json.loads(data)
    except (ValueError, RecursionError) as e:
        raise EnvironmentFault("the Kubernetes API answered what is no JSON") from e
    if not isinstance(said, dict):
        raise EnvironmentFault("the Kubernetes API answered what is no object")
    return said


def _refused(e: Any) -> Refused:
    try:
        said = json.loads(e.body)
        reason, message = str(said.get("reason", "")), str(said.get("message", ""))
    except (ValueError, TypeError, AttributeError, RecursionError):
        reason, message = "", ""
    plain = "".join(c if c.isprintable() else " " for c in message or str(e.reason or ""))
    return Refused(int(e.status or 0), reason, plain[:1000] or f"status {e.status}")


def _asked_to_wait(headers: Mapping[str, str] | Sequence[Any] | None) -> float | None:
    """``Retry-After`` in seconds."""
    value = headers.get("Retry-After", "") if hasattr(headers, "get") else ""  # type: ignore[union-attr]
    text = str(value or "").strip()
    return min(MAX_WAIT_S, float(text)) if text.isdigit() else None
