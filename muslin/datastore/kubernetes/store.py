"""The driver: which view serves a kind, and what every call has in common.

Which CRDs are in use is looked up once (`CALICO_API_GROUP` overrides): those of `projectcalico.org/v3` where the server
has them and not the older ones. As long as it has neither, it is looked up again.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection
from contextlib import aclosing
from datetime import UTC, datetime
from typing import Any, Final, Self

from muslin.conversion.cluster_policy import CLUSTER_POLICY
from muslin.conversion.kinds import CRD_KINDS, ApiGroup, api_group
from muslin.conversion.policy import KUBERNETES_POLICY
from muslin.datastore import paging
from muslin.datastore.field_ownership import FieldOwner
from muslin.datastore.kubernetes import listing
from muslin.datastore.kubernetes.absent import Absent
from muslin.datastore.kubernetes.custom import CustomResources
from muslin.datastore.kubernetes.endpoints import WorkloadEndpoints
from muslin.datastore.kubernetes.forms import form_of
from muslin.datastore.kubernetes.nodes import Nodes
from muslin.datastore.kubernetes.own_kinds import OWN_KINDS
from muslin.datastore.kubernetes.pod_cidr_blocks import PodCidrBlocks
from muslin.datastore.kubernetes.policies import cluster_network_policies, network_policies
from muslin.datastore.kubernetes.profiles import Profiles
from muslin.datastore.kubernetes.refusals import said
from muslin.datastore.kubernetes.views import View
from muslin.datastore.kubernetes.watching import MergedWatch
from muslin.datastore.objects import text_of_new
from muslin.datastore.protocol import Bookmark, Change, Entry, Json, Listing, NotSupported, Revision
from muslin.datastore.settings import KubernetesSettings
from muslin.errors import BadInput, Failed, Problem
from muslin.kubernetes import errors as api
from muslin.kubernetes.client import KubernetesClient
from muslin.kubernetes.finding import find_access
from muslin.kubernetes.pace import Limits
from muslin.resources.keys import Key

__all__ = ["KubernetesDatastore"]

_NEVER: Final = datetime(1970, 1, 1, tzinfo=UTC)


class KubernetesDatastore:
    """`Datastore` over a Kubernetes API, on one event loop.

    Args:
        client: of the API; closed with the datastore.
        group: `projectcalico.org/v3` or `crd.projectcalico.org/v1`, None to look what is there.
        use_pod_cidr: addresses come from the podCIDRs of nodes, and so do IPAM's blocks (`USE_POD_CIDR`).
        interface_prefixes: `FELIX_INTERFACEPREFIX`.
        patience_s: how long a watch may be without a connection before it ends as `Unavailable`.
    """

    def __init__(
        self,
        client: KubernetesClient,
        *,
        group: str | None = None,
        use_pod_cidr: bool = False,
        interface_prefixes: str = "cali",
        patience_s: float = 10.0,
    ) -> None:
        self._client, self._patience_s = client, patience_s
        self._group = api_group(None, group) if group else None
        self._composed: dict[str, View] = {
            "Node": Nodes(client, use_pod_cidr=use_pod_cidr),
            "WorkloadEndpoint": WorkloadEndpoints(client, interface_prefixes=interface_prefixes),
            "Profile": Profiles(client),
            KUBERNETES_POLICY: network_policies(client),
            CLUSTER_POLICY: cluster_network_policies(client),
            "LiveMigration": Absent("migrate the virtual machine with KubeVirt"),
        }
        if use_pod_cidr:
            self._composed["IPAMBlock"] = PodCidrBlocks(client)
        self._views: dict[tuple[ApiGroup, str], View] = {}
        self._watches: set[MergedWatch] = set()
        self._shows_owners = False
        self._closed = False

    @classmethod
    async def open(cls, settings: KubernetesSettings) -> Self:
        """The datastore that settings name. The API is asked at once only where they leave open which CRDs are in use.

        Raises:
            BadInput: a kubeconfig, certificate or other setting that can't be right.
            Unavailable: the API does not answer.
            Forbidden: it does not know us.
        """
        access = find_access(
            kubeconfig=settings.kubeconfig,
            inline=settings.kubeconfig_inline,
            context=settings.context,
            server=settings.api_endpoint,
            ca_file=settings.ca_file,
            cert_file=settings.cert_file,
            key_file=settings.key_file,
            token=settings.token,
            insecure_skip_tls_verify=settings.insecure_skip_tls_verify,
        )
        client = await KubernetesClient.connect(access, limits=Limits(qps=settings.qps, burst=settings.burst))
        store = cls(client, group=settings.api_group, use_pod_cidr=settings.use_pod_cidr)
        try:
            await store.api_group()
        except BaseException:
            await client.close()
            raise
        return store

    @property
    def client(self) -> KubernetesClient:
        """The client below, for what is no business of a datastore."""
        return self._client

    async def api_group(self) -> ApiGroup:
        """Which CRDs are in use."""
        if self._group is not None:
            return self._group
        groups: set[str] | None = None
        try:
            with said("/apis"):
                answer = await self._client.get("/apis")
            groups = {str(each.get("name")) for each in answer.get("groups") or () if isinstance(each, dict)}
        except api.ApiError:
            groups = None  # as Calico does: whoever may not look is on a cluster with the older CRDs
        found = api_group(groups)
        if groups is None or {each.group for each in ApiGroup} & groups:
            self._group = found
        return found

    async def get(self, key: Key) -> Entry:
        """See `Datastore.get`."""
        return await (await self._view(key.kind)).get(key)

    async def list(
        self, kind: str, *, namespace: str | None = None, limit: int | None = None, after: str | None = None
    ) -> Listing:
        """See `Datastore.list`. A kind whose CRD is not installed has no objects."""
        paging.check_limit(limit)
        place = None if after is None else listing.Place.read(after)
        view = await self._view(kind)
        if limit is None and place is None:
            return await listing.everything(self._client, view, kind, namespace)
        return await listing.page(self._client, view, namespace, limit or 1_000_000, place)

    async def create(self, key: Key, value: Json) -> Entry:
        """See `Datastore.create`."""
        return await (await self._view(key.kind)).create(key, _checked(key, value))

    async def update(self, key: Key, value: Json, revision: Revision) -> Entry:
        """See `Datastore.update`."""
        return await (await self._view(key.kind)).update(key, _checked(key, value), revision)

    async def keeps_owners(self, kind: str) -> bool:
        """See `FieldOwnership.keeps_owners`: CRDs whose objects are stored as they are."""
        view = await self._view(kind)
        return isinstance(view, CustomResources) and view.keeps_owners

    async def apply(
        self, key: Key, value: Json, revision: Revision | None, *, manager: str, force: bool = False
    ) -> Entry:
        """See `FieldOwnership.apply`."""
        view = await self._view(key.kind)
        if not isinstance(view, CustomResources):
            raise NotSupported("Apply", key, "create or update it")
        return await view.apply(key, _checked(key, value), revision, manager=manager, force=force)

    def show_owners(self) -> None:
        """See `FieldOwnership.show_owners`."""
        self._shows_owners = True
        self._views.clear()

    async def owners(self, key: Key) -> tuple[FieldOwner, ...]:
        """See `FieldOwnership.owners`."""
        view = await self._view(key.kind)
        return await view.owners(key) if isinstance(view, CustomResources) else ()

    async def delete(self, key: Key, revision: Revision | None = None) -> Entry:
        """See `Datastore.delete`."""
        return await (await self._view(key.kind)).delete(key, revision)

    async def watch(self, kinds: Collection[str], after: Revision) -> AsyncIterator[Change | Bookmark]:
        """See `Datastore.watch`. The first bookmark comes as soon as the watch has caught up."""
        views = [await self._view(kind) for kind in dict.fromkeys(kinds)]
        watch = MergedWatch(self._client, views, after, patience_s=self._patience_s)
        self._watches.add(watch)
        try:
            async with aclosing(watch.changes()) as changes:
                async for change in changes:
                    yield change
        finally:
            self._watches.discard(watch)

    async def close(self) -> None:
        """See `Datastore.close`. Twice is once."""
        if self._closed:
            return
        self._closed = True
        for watch in tuple(self._watches):
            await watch.end()
        await self._client.close()

    async def _view(self, kind: str) -> View:
        if self._closed:
            raise Failed(Problem("the datastore is closed", "Kubernetes", "open it again"))
        composed = self._composed.get(kind)
        if composed is not None:
            return composed
        group = await self.api_group() if kind in CRD_KINDS else ApiGroup.V3
        view = self._views.get((group, kind))
        if view is None:
            form = form_of(kind, group, managers=self._shows_owners)
            if form is None:
                known = ", ".join(sorted({*CRD_KINDS, *self._composed, *OWN_KINDS}))
                raise BadInput(Problem(f"{kind} is not kept in Kubernetes", kind, f"use one of {known}"))
            view = self._views[group, kind] = CustomResources(self._client, form)
        return view


def _checked(key: Key, value: Json) -> dict[str, Any]:
    """The object to write, with the identity that its key says. Raises `BadInput`."""
    text_of_new(key, value, uid="", now=_NEVER)
    identity = {"name": key.name} | ({"namespace": key.namespace} if key.namespace is not None else {})
    return {**value, "kind": key.kind, "metadata": {**(value.get("metadata") or {}), **identity}}
