"""WorkloadEndpoints of one node in the datastore, as the CNI plugin writes them. A thin shell over compare-and-swap."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from muslin.conversion.endpoint_name import EndpointName
from muslin.datastore.protocol import AlreadyExists, Conflict, Datastore, Entry, NotFound, Revision
from muslin.errors import Problem, Unavailable
from muslin.net import Address, Mac, parse_prefix
from muslin.resources.keys import Key
from runtime.cni.pod import Pod

__all__ = ["Attachment", "Endpoints", "key_of"]

_RETRIES = 5
_IDENTITY = ("pcns.", "pcsa.", "projectcalico.org/namespace", "projectcalico.org/serviceaccount")
"""Labels that say which namespace and service account a pod is in, and theirs: not the pod's own to say, for an
endpoint's own labels win over those that it inherits."""


@dataclass(frozen=True, slots=True)
class Attachment:
    """A pod's interface as the datastore knows it: who has it, through which host interface, with which addresses."""

    key: Key
    container_id: str
    interface: str
    addresses: tuple[Address, ...]
    mac: Mac | None
    revision: Revision


def key_of(node: str, pod: Pod, ifname: str) -> Key:
    """The key of a pod's endpoint."""
    return _key(node, pod.namespace, pod.name, ifname)


@functools.lru_cache(256)
def _key(node: str, namespace: str, pod: str, ifname: str) -> Key:
    """Remembered, because one request asks for it several times."""
    return Key("WorkloadEndpoint", str(EndpointName(node, pod=pod, endpoint=ifname)), namespace)


class Endpoints:
    """WorkloadEndpoints of `node`."""

    def __init__(self, datastore: Datastore, node: str) -> None:
        self._datastore, self._node = datastore, node

    async def get(self, pod: Pod, ifname: str) -> Attachment | None:
        """The endpoint of a pod's interface, whoever's sandbox it belongs to."""
        try:
            return _attachment(await self._datastore.get(key_of(self._node, pod, ifname)))
        except NotFound:
            return None

    async def put(
        self, pod: Pod, ifname: str, container_id: str, *, interface: str, addresses: tuple[Address, ...], mac: Mac
    ) -> Attachment:
        """Write the endpoint. One of an older sandbox of the same pod is taken over."""
        key = key_of(self._node, pod, ifname)
        value = _object(key, self._node, pod, ifname, container_id, interface=interface, addresses=addresses, mac=mac)
        found: Entry | None = None
        for _ in range(_RETRIES):
            try:
                if found is None:
                    made = await self._datastore.create(key, value)
                    return Attachment(key, container_id, interface, addresses, mac, made.revision)
                kept = {**value, "metadata": {**found.value["metadata"], "labels": value["metadata"]["labels"]}}
                return _attachment(await self._datastore.update(key, kept, found.revision))
            except (AlreadyExists, Conflict) as error:
                found = error.current
            except NotFound:
                found = None
        raise _contended(key)

    async def delete(self, pod: Pod, ifname: str, container_id: str, known: Attachment | None = None) -> None:
        """Remove the endpoint if it belongs to this container. Absent, or another's, is success.

        Args:
            pod: whose endpoint.
            ifname: of its interface.
            container_id: to whom it must belong.
            known: the endpoint as it was a moment ago, belonging to this container.
        """
        key = key_of(self._node, pod, ifname)
        for _ in range(_RETRIES):
            try:
                if known is not None:
                    revision, known = known.revision, None
                    await self._datastore.delete(key, revision)
                    return
                found = await self._datastore.get(key)
                if found.value.get("spec", {}).get("containerID", "") not in {"", container_id}:
                    return
                await self._datastore.delete(key, found.revision)
                return
            except NotFound:
                return
            except Conflict:
                continue
        raise _contended(key)


def _contended(key: Key) -> Unavailable:
    fix = "see who writes this endpoint; the runtime will try again"
    return Unavailable(Problem(f"{key} changes faster than it can be written", str(key), fix))


def _object(key: Key, node: str, pod: Pod, ifname: str, container_id: str, **link: Any) -> dict[str, Any]:
    labels = {
        **{label: value for label, value in pod.labels.items() if not label.startswith(_IDENTITY)},
        "projectcalico.org/namespace": pod.namespace,
        "projectcalico.org/orchestrator": "k8s",
    }
    account = pod.service_account
    if account is not None and len(account) < 63:  # calico.md 1a: a longer one would not be a label
        labels["projectcalico.org/serviceaccount"] = account
    spec: dict[str, Any] = {
        "orchestrator": "k8s",
        "node": node,
        "containerID": container_id,
        "pod": pod.name,
        "endpoint": ifname,
        "ipNetworks": [f"{address}/{address.max_prefixlen}" for address in link["addresses"]],
        "profiles": [f"kns.{pod.namespace}"] + ([f"ksa.{pod.namespace}.{account}"] if account else []),
        "interfaceName": link["interface"],
        "mac": str(link["mac"]),
    }
    if account is not None:
        spec["serviceAccountName"] = account
    return {
        "apiVersion": "projectcalico.org/v3",
        "kind": "WorkloadEndpoint",
        "metadata": {"name": key.name, "namespace": key.namespace, "labels": labels},
        "spec": spec,
    }


def _attachment(entry: Entry) -> Attachment:
    """Read leniently: what somebody else damaged must still be deletable."""
    spec: Mapping[str, Any] = entry.value.get("spec") or {}
    addresses: list[Address] = []
    for network in spec.get("ipNetworks") or ():
        try:
            addresses.append(parse_prefix(str(network)).network_address)
        except ValueError:
            continue
    try:
        mac = Mac(str(spec.get("mac")))
    except ValueError:
        mac = None
    container_id, interface = str(spec.get("containerID") or ""), str(spec.get("interfaceName") or "")
    return Attachment(entry.key, container_id, interface, tuple(addresses), mac, entry.revision)
