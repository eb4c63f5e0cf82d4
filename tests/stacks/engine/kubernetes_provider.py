"""Pulumi's Kubernetes provider as it was seen to behave (pulumi 3.243, provider 4.32), against a real API server.

A create is a POST as `pulumi-kubernetes`; with upsert, and for Patch resources, it is server-side apply. An update is
server-side apply, after fields of the POST, and of kubectl's, were moved to the manager that applies. A preview is a
dry run, where one can be made. What is deleted goes in the foreground, and is waited for.
"""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Mapping
from typing import Any, Final

from tests.stacks.engine.values import is_known
from tests.stacks.engine.waiting import conditions, holds
from tests.support.kube_apiserver import Answer, KubeApiserver

__all__ = ["KubernetesProvider", "NotReady", "Refusal"]

_APPLY: Final = "application/apply-patch+yaml"
_JSON_PATCH: Final = "application/json-patch+json"
_CREATED_BY: Final = "pulumi-kubernetes"
_ITSELF: Final = frozenset({_CREATED_BY, "pulumi-kubernetes.exe", "pulumi-resource-kubernetes"})
_TAKEN_OVER: Final = frozenset(
    {
        ("kubectl", "Apply"),
        ("kubectl", "Update"),
        ("before-first-apply", "Update"),
        *((name, "Update") for name in _ITSELF),
    }
)
"""(Manager, operation): whose fields an update takes over, silently."""
_GONE_S: Final = 10
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
    """What the provider says when it could not; `status` as the API answered, 0 where it did not."""

    def __init__(self, text: str, status: int = 0) -> None:
        super().__init__(text)
        self.status = status


class NotReady(Refusal):
    """What was written did not become as it was waited for: it is there all the same, and remembered.

    Attributes:
        made: the object as it was in the end.
    """

    def __init__(self, text: str, made: dict[str, Any]) -> None:
        super().__init__(text)
        self.made = made


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
        if preview:
            return self._previewed(type_, urn, obj)
        if _is_patch(type_) or self._upsert:
            made = self._apply(obj, self._manager(urn, obj), force=self._forced(obj), preview=False)
        else:
            made = self._ask("POST", f"{self._collection(obj)}?fieldManager={_CREATED_BY}", obj)
        return self._awaited(obj, made)

    def _previewed(self, type_: str, urn: str, obj: dict[str, Any]) -> dict[str, Any]:
        """A dry run of a create; what was asked for, where none can be made: so a preview hides what `up` refuses."""
        if not is_known(obj) or _is_patch(type_) or not self._is_served(obj):
            return obj
        try:
            if self._upsert:
                # where there is no state yet, a preview is not to fail for fields that the write would conflict with
                made = self._apply(obj, self._manager(urn, obj), force=True, preview=True)
            else:
                made = self._ask("POST", f"{self._collection(obj)}?fieldManager={_CREATED_BY}&dryRun=All", obj)
        except Refusal as refusal:
            if refusal.status == 403 or (refusal.status == 409 and not self._upsert):
                return obj
            raise
        return _unknown_yet(made)

    def update(self, type_: str, urn: str, inputs: Mapping[str, Any], *, preview: bool) -> dict[str, Any]:
        """Server-side apply over what is there; what it takes over from others is moved to its manager first."""
        obj = _object(type_, inputs)
        if preview and not is_known(obj):
            return obj
        manager, live = self._manager(urn, obj), self._ask("GET", self._path(obj))
        if not preview:
            if not _is_patch(type_):
                self._move_managers(obj, live, manager)
            made = self._apply(obj, manager, force=self._forced(obj), preview=False)
            return self._awaited(obj, made)
        posted = any(
            each["manager"] in _ITSELF and each["operation"] == "Update" for each in live["metadata"]["managedFields"]
        )
        try:
            return self._apply(obj, manager, force=posted or self._forced(obj), preview=True)
        except Refusal as refusal:
            if refusal.status == 403:
                return obj
            raise

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
        # the provider watches it go, in the foreground: without these rights it does not begin
        self._ask("GET", f"{self._collection(obj)}?fieldSelector=metadata.name%3D{obj['metadata']['name']}")
        options = {"apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": "Foreground"}
        answer = self._server.request("DELETE", self._path(obj), options, token=self._token)
        if answer.status not in (200, 202, 404):
            raise Refusal(str(answer.get("message")), answer.status)
        until = time.monotonic() + _GONE_S
        while self._server.request("GET", self._path(obj), token=self._token).status != 404:
            if self.stopped.wait(0.05) or time.monotonic() > until:
                raise Refusal(f"Timed out waiting for deletion of {obj['kind']} {obj['metadata']['name']}")

    def _apply(self, obj: Mapping[str, Any], manager: str, *, force: bool, preview: bool) -> dict[str, Any]:
        query = f"fieldManager={manager}&force={str(force).lower()}" + ("&dryRun=All" if preview else "")
        return self._ask("PATCH", f"{self._path(obj)}?{query}", obj, _APPLY)

    def _move_managers(self, obj: Mapping[str, Any], live: Mapping[str, Any], manager: str) -> None:
        managed = live["metadata"].get("managedFields", [])
        taken = [each for each in managed if (each["manager"], each["operation"]) in _TAKEN_OVER and not
                 each.get("subresource")]  # fmt: skip
        if not taken:
            return
        mine = [each for each in managed if (each["manager"], each["operation"]) == (manager, "Apply")]
        fields: dict[str, Any] = {}
        for each in (*mine, *taken):
            fields = _united(fields, each["fieldsV1"])
        moved = {**(mine or taken)[0], "manager": manager, "operation": "Apply", "fieldsV1": fields}
        patch = [
            {
                "op": "replace",
                "path": "/metadata/managedFields",
                "value": [moved, *(each for each in managed if each not in mine and each not in taken)],
            },
            {"op": "replace", "path": "/metadata/resourceVersion", "value": live["metadata"]["resourceVersion"]},
        ]
        self._ask("PATCH", self._path(obj), patch, _JSON_PATCH)

    def _awaited(self, obj: Mapping[str, Any], made: dict[str, Any]) -> dict[str, Any]:
        """Until every condition holds. The real one gives up after a time; here a test that waits in vain ends it."""
        wanted = conditions(obj["metadata"].get("annotations", {}))
        while not all(holds(each, made) for each in wanted):
            if self.stopped.wait(0.05):
                raise NotReady(f"{obj['metadata']['name']} did not become as it was waited for", made)
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
            raise Refusal(str(answer.get("message") or answer), answer.status)
        return dict(answer)

    def _is_served(self, obj: Mapping[str, Any]) -> bool:
        try:
            self._collection(obj)
        except Refusal:
            return False
        return True

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


def _united(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    """Both sets of fields, as `fieldsV1` has them."""
    return {name: _united(one.get(name, {}), other.get(name, {})) for name in {**one, **other}}


def _unknown_yet(obj: dict[str, Any]) -> dict[str, Any]:
    """What a dry run answers, without what only the write will tell."""
    metadata = {name: each for name, each in obj["metadata"].items()
                if name not in ("uid", "resourceVersion", "creationTimestamp", "managedFields")}  # fmt: skip
    return {**{name: each for name, each in obj.items() if name != "status"}, "metadata": metadata}
