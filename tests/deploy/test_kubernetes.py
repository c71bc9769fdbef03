"""``deploy/kubernetes``: held against the API's own schemas, and against what lem asks for."""

import shutil
import subprocess
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from lem.clusters.kubernetes_job import POLICY, policy
from lem.config.kubernetes_spec import KubernetesSpec

NAMESPACES = {"base": "lem", "server": "lem-server"}
PARTS = tuple(NAMESPACES)


def place(root: Path, part: str) -> Path:
    return root / "deploy" / "kubernetes" / part


def documents(root: Path, part: str) -> list[dict[str, Any]]:
    folder = place(root, part)
    return [
        d
        for f in sorted(folder.glob("*.yaml"))
        if f.name != "kustomization.yaml"
        for d in yaml.safe_load_all(f.read_text(encoding="utf-8"))
    ]


def pods(root: Path) -> list[dict[str, Any]]:
    found = [
        d["spec"]["template"]["spec"]
        for d in documents(root, "server")
        if "template" in d.get("spec", {})
    ]
    assert len(found) == 2
    return found


@pytest.mark.parametrize("part", PARTS)
def test_the_api_s_schemas_take_every_document(root: Path, part: str) -> None:
    found = documents(root, part)
    assert len(found) >= 6
    for document in found:
        kubernetes_validate.validate(document, "1.37", strict=True)


@pytest.mark.parametrize("part", PARTS)
def test_every_file_is_a_resource(root: Path, part: str) -> None:
    folder = place(root, part)
    listed = yaml.safe_load((folder / "kustomization.yaml").read_text())["resources"]
    assert sorted(listed) == sorted(
        f.name for f in folder.glob("*.yaml") if f.name != "kustomization.yaml"
    )


@pytest.mark.parametrize("part", PARTS)
def test_kustomize_builds_it(root: Path, part: str, tmp_path: Path) -> None:
    kubectl = shutil.which("kubectl")
    if kubectl is None:
        pytest.skip("kubectl is not here")
    folder = tmp_path / part
    shutil.copytree(place(root, part), folder)
    (folder / "database_password").write_text("not a secret")
    done = subprocess.run(
        [kubectl, "kustomize", str(folder)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    made = list(yaml.safe_load_all(done.stdout))
    for document in made:
        kubernetes_validate.validate(document, "1.37", strict=True)
        own = document["metadata"]["name" if document["kind"] == "Namespace" else "namespace"]
        assert own == NAMESPACES[part]
    if part == "server":
        (secret,) = (d["metadata"]["name"] for d in made if d["kind"] == "Secret")
        assert done.stdout.count(f"secretName: {secret}") == 2


def test_the_policy_is_the_one_that_lem_looks_for(root: Path) -> None:
    own = policy(KubernetesSpec(kind="kubernetes", claim="c", mount="/data"))
    (found,) = (d for d in documents(root, "base") if d["kind"] == "NetworkPolicy")
    assert found == own
    assert found["metadata"]["name"] == POLICY


def test_who_submits_may_do_what_lem_does_and_no_more(root: Path) -> None:
    (role,) = (d for d in documents(root, "base") if d["kind"] == "Role")
    allowed = {
        (group, resource, verb, tuple(rule.get("resourceNames", ())))
        for rule in role["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }
    assert allowed == {
        ("batch", "jobs", "create", ()),
        ("batch", "jobs", "get", ()),
        ("batch", "jobs", "list", ()),
        ("batch", "jobs", "delete", ()),
        ("", "pods", "list", ()),
        ("", "pods/log", "get", ()),
        ("networking.k8s.io", "networkpolicies", "get", (POLICY,)),
    }


def test_who_submits_reaches_no_secret_of_the_archive(root: Path) -> None:
    """A Role is a namespace's, and so is what a pod can be given: Secrets, volumes."""
    told = {
        part: yaml.safe_load((place(root, part) / "kustomization.yaml").read_text())["namespace"]
        for part in PARTS
    }
    assert told == NAMESPACES
    kinds = {d["kind"] for d in documents(root, "server")}
    assert not kinds & {"Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding"}
    every = [d for part in PARTS for d in documents(root, part)]
    assert not [d for d in every if d["kind"].startswith("ClusterRole")]
    assert not [d for d in every if "namespace" in d["metadata"]]


def test_no_secret_is_in_the_repository(root: Path) -> None:
    for part in PARTS:
        assert "Secret" not in {d["kind"] for d in documents(root, part)}
    (made,) = yaml.safe_load((place(root, "server") / "kustomization.yaml").read_text())[
        "secretGenerator"
    ]
    (file,) = made["files"]
    assert file in (place(root, "server") / ".gitignore").read_text().split()


def test_pods_keep_to_the_namespace_s_standard(root: Path) -> None:
    """``restricted``, the strictest of the Pod Security Standards, and a read-only root."""
    for part, name in NAMESPACES.items():
        (namespace,) = (d for d in documents(root, part) if d["kind"] == "Namespace")
        assert namespace["metadata"]["name"] == name
        assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
    for pod in pods(root):
        assert pod["automountServiceAccountToken"] is False
        about = pod["securityContext"]
        assert about["runAsNonRoot"] is True and about["runAsUser"] > 0
        assert about["seccompProfile"] == {"type": "RuntimeDefault"}
        assert not {"hostNetwork", "hostPID", "hostIPC"} & set(pod)
        for container in pod["containers"]:
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "capabilities": {"drop": ["ALL"]},
                "readOnlyRootFilesystem": True,
            }
        for volume in pod["volumes"]:
            assert not {"hostPath", "nfs"} & set(volume)


def test_the_server_is_told_what_compose_tells_it(root: Path) -> None:
    composed = yaml.safe_load((root / "compose" / "compose.yaml").read_text())
    wanted = set(composed["services"]["server"]["environment"]) - {"<<"}
    wanted |= set(composed["services"]["enlist"]["environment"])
    kustomization = yaml.safe_load((place(root, "server") / "kustomization.yaml").read_text())
    (settings,) = kustomization["configMapGenerator"]
    told = {line.split("=")[0] for line in settings["literals"]}
    (server,) = (d for d in documents(root, "server") if d["kind"] == "Deployment")
    (container,) = server["spec"]["template"]["spec"]["containers"]
    assert wanted == told | {e["name"] for e in container["env"]}
