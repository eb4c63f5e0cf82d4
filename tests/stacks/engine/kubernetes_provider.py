"""Pulumi's Kubernetes provider as it was seen to behave (pulumi 3.243, provider 4.32), against a real API server.

A create is a POST as `pulumi-kubernetes`; with upsert, and for Patch resources, it is server-side apply. An update is
server-side apply, after the fields of the POST were moved to the manager that applies. A preview is a dry run.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Mapping
from typing import Any, Final

from tests.stacks.engine.values import is_known
from tests.stacks.engine.waiting import conditions, holds
from tests.support.kube_apiserver import Answer, KubeApiserver

__all__ = ["KubernetesProvider", "Refusal"]

_APPLY: Final = "application/apply-patch+yaml"
_JSON_PATCH: Final = "application/json-patch+json"
_CREATED_BY: Final = "pulumi-kubernetes"
_BUILT_IN: Final = {
    "Node": ("nodes", False), "Secret": ("secrets", True), "ConfigMap": ("configmaps", True),
    "Namespace": ("namespaces", False), "Role": ("roles", True), "RoleBinding": ("rolebindings", True),
    "ServiceAccount": ("serviceaccounts", True), "ClusterRole": ("clusterroles", False),
    "ClusterRoleBinding": ("clusterrolebindings", False), "DaemonSet": ("daemonsets", True),
    "Deployment": ("deployments", True), "Service": ("services", True),
    "CustomResourceDefinition": ("customresourcedefinitions", False),
    "PodDisruptionBudget": ("poddisruptionbudgets", True),
}  # fmt: skip


class Refusal(Exception):
    """What the provider says when it could not."""


class KubernetesProvider:
    """One configured provider.

    Args:
        server: the API server.
        settings: inputs of the provider resource, as JSON.
        token: whose rights it has; the administrator's where None.
    """

    def __init__(self, server: KubeApiserver, settings: Mapping[str, Any], token: str | None = None) -> None:
        self._server, self._token = server, token
        self._upsert = settings.get("upsertExistingObjects") in ("true", True)
        self._force = settings.get("enablePatchForce") in ("true", True)
        self._plurals: dict[str, dict[str, tuple[str, bool]]] = {}
        self.stopped = threading.Event()

    def create(self, type_: str, urn: str, inputs: Mapping[str, Any], *, preview: bool) -> dict[str, Any]:
        """Make or adopt the object, wait until it is as its annotation says, and give it as it is then."""
        obj = _object(type_, inputs)
        if preview and not is_known(obj):
            return obj
        if _is_patch(type_) or self._upsert:
            # where there is no state yet, a preview is not to fail for fields that the write would conflict with
            made = self._apply(obj, self._manager(urn, obj), force=self._forced(obj) or preview, preview=preview)
        else:
            query = f"fieldManager={_CREATED_BY}" + ("&dryRun=All" if preview else "")
            made = self._ask("POST", f"{self._collection(obj)}?{query}", obj)
        return _unknown_yet(made) if preview else self._awaited(obj, made)

    def update(self, type_: str, urn: str, inputs: Mapping[str, Any], *, preview: bool) -> dict[str, Any]:
        """Server-side apply over what is there; what the POST managed goes to the manager that applies, first."""
        obj = _object(type_, inputs)
        if preview and not is_known(obj):
            return obj
        manager = self._manager(urn, obj)
        if not preview and not _is_patch(type_):
            self._move_managers(obj, manager)
        made = self._apply(obj, manager, force=self._forced(obj), preview=preview)
        return made if preview else self._awaited(obj, made)

    def read(self, type_: str, inputs: Mapping[str, Any]) -> dict[str, Any] | None:
        """The object now; None where it is gone."""
        answer = self._server.request("GET", self._path(_object(type_, inputs)), token=self._token)
        return dict(answer) if answer.status == 200 else None

    def delete(self, type_: str, urn: str, inputs: Mapping[str, Any]) -> None:
        """Remove the object; of a Patch resource, give back its fields."""
        obj = _object(type_, inputs)
        if _is_patch(type_):
            bare = {
                "apiVersion": obj["apiVersion"],
                "kind": obj["kind"],
                "metadata": {name: obj["metadata"][name] for name in ("name", "namespace") if name in obj["metadata"]},
            }
            self._apply(bare, self._manager(urn, obj), force=False, preview=False)
            return
        answer = self._server.request("DELETE", self._path(obj), token=self._token)
        if answer.status not in (200, 202, 404):
            raise Refusal(str(answer.get("message")))

    def _apply(self, obj: Mapping[str, Any], manager: str, *, force: bool, preview: bool) -> dict[str, Any]:
        query = f"fieldManager={manager}&force={str(force).lower()}" + ("&dryRun=All" if preview else "")
        return self._ask("PATCH", f"{self._path(obj)}?{query}", obj, _APPLY)

    def _move_managers(self, obj: Mapping[str, Any], manager: str) -> None:
        live = self._ask("GET", self._path(obj))
        managed = live["metadata"].get("managedFields", [])
        posted = [each for each in managed if each["manager"] == _CREATED_BY and each["operation"] == "Update"]
        if not posted or any(each["manager"] == manager and each["operation"] == "Apply" for each in managed):
            return
        moved = [{**each, "manager": manager, "operation": "Apply"} if each in posted else each for each in managed]
        patch = [
            {"op": "replace", "path": "/metadata/managedFields", "value": moved},
            {"op": "replace", "path": "/metadata/resourceVersion", "value": live["metadata"]["resourceVersion"]},
        ]
        self._ask("PATCH", self._path(obj), patch, _JSON_PATCH)

    def _awaited(self, obj: Mapping[str, Any], made: dict[str, Any]) -> dict[str, Any]:
        """Until every condition holds. The real one gives up after a time; here a test that waits in vain ends it."""
        wanted = conditions(obj["metadata"].get("annotations", {}))
        while not all(holds(each, made) for each in wanted):
            if self.stopped.wait(0.05):
                raise Refusal(f"{obj['metadata']['name']} did not become as it was waited for")
            made = self._ask("GET", self._path(obj))
        return made

    def _manager(self, urn: str, obj: Mapping[str, Any]) -> str:
        named = obj["metadata"].get("annotations", {}).get("pulumi.com/patchFieldManager")
        return named or f"{_CREATED_BY}-{hashlib.sha256(urn.encode()).hexdigest()[:8]}"

    def _forced(self, obj: Mapping[str, Any]) -> bool:
        return self._force or obj["metadata"].get("annotations", {}).get("pulumi.com/patchForce") == "true"

    def _ask(self, method: str, path: str, body: Any = None, content: str = "application/json") -> dict[str, Any]:
        answer: Answer = self._server.request(method, path, body, content_type=content, token=self._token)
        if answer.status not in (200, 201):
            raise Refusal(str(answer.get("message") or answer))
        return dict(answer)

    def _collection(self, obj: Mapping[str, Any]) -> str:
        group, kind = str(obj["apiVersion"]), str(obj["kind"])
        plural, namespaced = self._names(group, kind)
        root = f"/apis/{group}" if "/" in group else f"/api/{group}"
        namespace = obj["metadata"].get("namespace", "default")
        return f"{root}/namespaces/{namespace}/{plural}" if namespaced else f"{root}/{plural}"

    def _path(self, obj: Mapping[str, Any]) -> str:
        return f"{self._collection(obj)}/{obj['metadata']['name']}"

    def _names(self, group: str, kind: str) -> tuple[str, bool]:
        if kind in _BUILT_IN and not group.startswith("projectcalico.org"):
            return _BUILT_IN[kind]
        if group not in self._plurals:
            answer = self._server.request("GET", f"/apis/{group}", token=self._token)
            served = {each["kind"]: (each["name"], each["namespaced"])
                      for each in answer.get("resources", ()) if "/" not in each["name"]}  # fmt: skip
            if not served:
                raise Refusal(f'no matches for kind "{kind}" in version "{group}"')
            self._plurals[group] = served
        try:
            return self._plurals[group][kind]
        except KeyError:
            raise Refusal(f'no matches for kind "{kind}" in version "{group}"') from None


def _is_patch(type_: str) -> bool:
    return type_.endswith("Patch")


def _object(type_: str, inputs: Mapping[str, Any]) -> dict[str, Any]:
    """The object to send: a Secret's `stringData` as it is, group and kind from the type where inputs have none."""
    _, group, kind = type_.split(":")
    version = group.removeprefix("core/")
    kept = {name: each for name, each in inputs.items() if not name.startswith("__")}
    return {"apiVersion": version, "kind": kind.removesuffix("Patch") if _is_patch(type_) else kind, **kept}


def _unknown_yet(obj: dict[str, Any]) -> dict[str, Any]:
    """What a dry run answers, without what only the write will tell."""
    metadata = {name: each for name, each in obj["metadata"].items()
                if name not in ("uid", "resourceVersion", "creationTimestamp", "managedFields")}  # fmt: skip
    return {**obj, "metadata": metadata}
