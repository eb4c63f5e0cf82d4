"""WorkloadEndpoints: views of Pods that have a node and a network of their own.

A CNI plugin writes one by annotations of its pod's status; they show the addresses sooner than kubelet does. Deleting
one empties them, and the endpoint stays, without addresses, until its pod is gone.

One annotation is ours: the MAC of the pod's end of the link, which Calico keeps in etcd only. It stands with the id of
the container that it is of, so that what another plugin makes later does not inherit it.
"""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import quote

from muslin.conversion.endpoint import CONTAINER_ID, endpoint_from_pod, endpoint_patch, pod_of_endpoint, removal_patch
from muslin.conversion.reading import Converted, as_mapping, as_text, as_texts, metadata_of
from muslin.datastore.kubernetes.refusals import NotSupported, Operation, said
from muslin.datastore.kubernetes.views import FIELD_MANAGER, Source, entry_of, is_segment, readable, revision_of
from muslin.datastore.protocol import AlreadyExists, Conflict, Entry, NotFound, Revision
from muslin.kubernetes import errors as api
from muslin.kubernetes.client import KubernetesClient, PatchType
from muslin.net import Mac
from muslin.resources.keys import Key

__all__ = ["MAC", "WorkloadEndpoints"]

MAC: Final = "muslin/mac"
"""Annotation of a pod: `<container id>/<MAC>`."""


class WorkloadEndpoints:
    """The kind WorkloadEndpoint.

    Args:
        client: of the API.
        interface_prefixes: `FELIX_INTERFACEPREFIX`, a comma list of which the first counts.
    """

    _KIND: Final = "WorkloadEndpoint"

    def __init__(self, client: KubernetesClient, *, interface_prefixes: str = "cali") -> None:
        self._client, self._prefixes = client, interface_prefixes
        self.sources = (Source("/api/v1/pods", self._entries, namespaced=True),)
        self.fixed: tuple[Entry, ...] = ()

    async def get(self, key: Key) -> Entry:
        """See `Datastore.get`."""
        return (await self._found(key))[0]

    async def create(self, key: Key, value: dict[str, Any]) -> Entry:  # noqa: ARG002 - of the protocol
        """See `Datastore.create`: a pod that has a node has its endpoint."""
        try:
            raise AlreadyExists(await self.get(key))
        except NotFound:
            fix = "its pod must exist, run on that node, and not use the host's network"
            raise NotSupported(Operation.CREATE, key, fix) from None

    async def update(self, key: Key, value: dict[str, Any], revision: Revision) -> Entry:
        """See `Datastore.update`. Of a change only addresses and the container's id are kept."""
        entry, pod = await self._found(key)
        if entry.revision != revision:
            raise Conflict(entry)
        annotations = dict(endpoint_patch(value)["metadata"].get("annotations") or {})
        if not annotations:
            return entry
        spec = as_mapping(value.get("spec"))
        annotations[MAC] = f"{as_text(spec.get('containerID'))}/{as_text(spec.get('mac'))}"
        return await self._patched(key, pod, {"metadata": {"annotations": annotations, **_exactly(pod)}})

    async def delete(self, key: Key, revision: Revision | None) -> Entry:
        """See `Datastore.delete`."""
        while True:
            entry, pod = await self._found(key)
            if revision is not None and entry.revision != revision:
                raise Conflict(entry)
            exactly = _exactly(pod)
            try:
                await self._patched(key, pod, removal_patch(exactly["uid"], exactly["resourceVersion"]))
            except Conflict:
                if revision is not None:
                    raise
                continue  # kubelet writes as well; nobody asked for a certain revision
            return entry

    async def _patched(self, key: Key, pod: dict[str, Any], patch: dict[str, Any]) -> Entry:
        try:
            with said(key):
                after = await self._client.patch(
                    f"{_path(pod)}/status", patch, how=PatchType.STRATEGIC, field_manager=FIELD_MANAGER
                )
        except api.NotFound as error:
            raise NotFound(key) from error
        except api.Conflict as error:
            raise Conflict(await self.get(key)) from error
        entry = self._entry(after)
        if entry is None:
            raise NotFound(key)
        return entry

    async def _found(self, key: Key) -> tuple[Entry, dict[str, Any]]:
        """The endpoint of this name and the pod that it is read from. Raises `NotFound`."""
        name = pod_of_endpoint(key.name)
        if name is None or not is_segment(name) or key.namespace is None or not is_segment(key.namespace):
            raise NotFound(key)
        try:
            with said(key):
                path = f"/api/v1/namespaces/{quote(key.namespace, safe='')}/pods/{quote(name, safe='')}"
                pod = await self._client.get(path)
        except api.NotFound as error:
            raise NotFound(key) from error
        entry = self._entry(pod)
        if entry is None or entry.key != key:
            raise NotFound(key)
        return entry, pod

    def _entries(self, pod: dict[str, Any]) -> tuple[Entry, ...]:
        entry = self._entry(pod)
        return () if entry is None else (entry,)

    def _entry(self, pod: dict[str, Any]) -> Entry | None:
        def convert(raw: dict[str, Any]) -> Converted:
            converted = endpoint_from_pod(raw, interface_prefixes=self._prefixes)
            if converted is None:
                return Converted({})
            if (mac := _mac(pod)) is not None and "ipNetworks" in as_mapping(converted.value.get("spec")):
                converted.value["spec"]["mac"] = mac
            return converted

        read = readable(self._KIND, pod, convert)
        if not read.value:
            return None
        metadata = read.value["metadata"]
        metadata.setdefault("resourceVersion", str(revision_of(pod)))
        return entry_of(self._KIND, read)


def _mac(pod: dict[str, Any]) -> str | None:
    annotations = as_texts(metadata_of(pod).get("annotations"))
    container, _, mac = annotations.get(MAC, "").rpartition("/")
    if not container or container != annotations.get(CONTAINER_ID):
        return None
    try:
        return str(Mac(mac))
    except ValueError:
        return None


def _path(pod: dict[str, Any]) -> str:
    metadata = metadata_of(pod)
    namespace, name = (quote(as_text(metadata.get(part)), safe="") for part in ("namespace", "name"))
    return f"/api/v1/namespaces/{namespace}/pods/{name}"


def _exactly(pod: dict[str, Any]) -> dict[str, str]:
    metadata = metadata_of(pod)
    return {part: as_text(metadata.get(part)) for part in ("uid", "resourceVersion")}
