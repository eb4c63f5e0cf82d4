"""ADD, DEL and CHECK: the order of the steps and how each is taken back.

ADD: link and address at the same time, the address into the link, endpoint in the datastore, policy in the kernel,
answer. Each step's undoing is noted before the step begins, so one that fails half-way is undone as well; all of them
succeed on what is not there. DEL goes the other way round and gives the address back last, when nothing can answer
under it any more. The steps themselves belong to collaborators that are handed in.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager, AsyncExitStack, nullcontext
from dataclasses import dataclass, replace
from typing import Any, Protocol, TypeAlias

from muslin.conversion.endpoint_name import interface_of
from muslin.datastore.protocol import Datastore, NotFound
from muslin.errors import Problem, Unavailable
from muslin.net import Address, Mac
from muslin.resources.keys import Key
from runtime.cni.answer import Answer, CniError, Code, added, done
from runtime.cni.endpoints import Attachment, Endpoints, key_of
from runtime.cni.names import Handle, handle_of
from runtime.cni.pod import Pod
from runtime.cni.request import Command, Request
from runtime.cni.server import PodNamespace
from runtime.cni.turns import Turns

__all__ = ["Addresses", "Attacher", "Link", "Links", "PolicyReady", "Seen"]

_POLICY_TIMEOUT_S = 10
_Known: TypeAlias = "asyncio.Future[tuple[Address, ...]]"
_FIRST_INTERFACE = "eth0"
"""The name that every runtime gives a pod's first interface."""


@dataclass(frozen=True, slots=True)
class Link:
    """A pod's interface as it must be on both sides."""

    interface: str
    """On the host."""
    ifname: str
    """In the pod."""
    addresses: tuple[Address, ...]
    mtu: int


class Addresses(Protocol):
    """IPAM, as the plugin needs it."""

    async def assign(self, handle: Handle, pod: Pod, pools: tuple[str, ...]) -> tuple[Address, ...]:
        """One address for this handle; what it holds already is given again. Raises MuslinError where there is none."""
        ...

    async def held(self, handle: Handle) -> tuple[Address, ...]:
        """What the handle holds now."""
        ...

    async def release(self, handle: Handle) -> None:
        """Give everything of the handle back. Nothing to give is success."""
        ...


class Links(Protocol):
    """Links between pods and the host."""

    def new_mac(self) -> Mac:
        """A MAC for a pod's end that no other has."""
        ...

    async def make(self, link: Link, mac: Mac, namespace: PodNamespace) -> int:
        """Make the link, without addresses; a stale one of this name goes first. Routes come later.

        Gives the index of the pod's end in the pod's namespace.
        Returns only when it no longer uses the namespace, cancelled or not.
        """
        ...

    async def connect(self, link: Link, peer: int, namespace: PodNamespace) -> None:
        """Give the pod's side its addresses and its way out."""
        ...

    async def disconnect(self, interface: str) -> None:
        """Remove a host interface, its route and with it the pod's side. Absent is success."""
        ...

    async def problems(self, link: Link, namespace: PodNamespace) -> tuple[Problem, ...]:
        """What differs from `link`: interface, addresses, routes in the pod; interface and route on the host."""
        ...


class Seen(Protocol):
    """What the node has seen of the datastore already, so that it need not be asked for every pod."""

    def ready(self) -> bool:
        """Whether the datastore is certainly there and not locked; if not, it is asked."""
        ...

    def endpoint(self, key: Key) -> bool:
        """Whether there is an endpoint, or may be. One from which policy was made before has been seen."""
        ...


PolicyReady = Callable[[Attachment], Awaitable[None]]
"""Returns once the dataplane enforces this endpoint's policy."""


class Attacher:
    """Does what CNI requests ask on one node. Its `handle` is the handler of `runtime.cni.server.Server`."""

    def __init__(
        self,
        node: str,
        datastore: Datastore,
        *,
        addresses: Addresses,
        links: Links,
        policy_ready: PolicyReady,
        mtu: Callable[[], int],
        expecting: Callable[[], AbstractContextManager[None]] = nullcontext,
        seen: Seen | None = None,
        interface_prefixes: str = "cali",
    ) -> None:
        self._node, self._datastore = node, datastore
        self._endpoints = Endpoints(datastore, node)
        self._addresses, self._links, self._policy_ready = addresses, links, policy_ready
        self._mtu, self._prefixes, self._expecting, self._seen = mtu, interface_prefixes, expecting, seen
        self._containers, self._pods = Turns(), Turns()

    async def handle(self, request: Request, namespace: PodNamespace | None) -> Answer:
        """One request; one at a time for a container, and for a pod. Raises MuslinError for a refusal."""
        pod_key = (request.pod.namespace, request.pod.name) if request.pod else None
        # A pod's new sandbox may come before its old one went: they share the host interface and the endpoint.
        async with self._containers.of(request.container_id), self._pods.of(pod_key or request.container_id):
            await self._require_ready()
            match request.command:
                case Command.DEL:
                    await self._delete(request)
                    return done()
                case Command.ADD | Command.CHECK if request.pod and namespace:
                    if request.command is Command.ADD:
                        return await self._add(request, request.pod, namespace)
                    await self._check(request, request.pod, namespace)
                    return done()
        raise CniError(Code.BAD_ENVIRONMENT, Problem("no pod or no namespace", str(request.command), "use the shim"))

    async def _require_ready(self) -> None:
        key = Key("ClusterInformation", "default")
        if self._seen is not None and self._seen.ready():
            return
        try:
            ready = (await self._datastore.get(key)).value.get("spec", {}).get("datastoreReady") is True
        except NotFound:
            ready = False
        if not ready:
            fix = "wait until the cluster is initialised, or until the datastore is unlocked"
            raise Unavailable(Problem("the datastore is not ready", f"{key}  spec.datastoreReady", fix))

    def _link(self, request: Request, pod: Pod, addresses: tuple[Address, ...]) -> Link:
        interface = interface_of(pod.namespace, pod.name, self._prefixes)
        return Link(interface, request.ifname, addresses, request.network.mtu or self._mtu())

    async def _add(self, request: Request, pod: Pod, namespace: PodNamespace) -> Answer:
        if await self._is_further(request, pod):
            what = f"pod {pod.namespace}/{pod.name} has an interface already, and this plugin gives a pod one"
            fix = f"leave {request.ifname} to another network's plugin"
            raise CniError(Code.BAD_ENVIRONMENT, Problem(what, f"CNI_IFNAME={request.ifname}", fix))
        attachment = await self._existing(request, pod, namespace)
        if attachment is not None:
            await self._wait_for_policy(request, attachment)
        else:
            attachment = await self._attach(request, pod, namespace)
        assert attachment.mac is not None
        return added(
            request.network.version,
            host_interface=attachment.interface,
            ifname=request.ifname,
            sandbox=request.netns,
            addresses=attachment.addresses,
            mac=attachment.mac,
        )

    async def _is_further(self, request: Request, pod: Pod) -> bool:
        """Whether a request is about another interface beside the one that this container has."""
        if request.ifname == _FIRST_INTERFACE:
            return False
        found = await self._endpoints.get(pod, _FIRST_INTERFACE)
        return found is not None and found.container_id == request.container_id

    async def _existing(self, request: Request, pod: Pod, namespace: PodNamespace) -> Attachment | None:
        """What an earlier ADD of the same container made, if all of it is still there."""
        if self._seen is not None and not self._seen.endpoint(key_of(self._node, pod, request.ifname)):
            return None  # an earlier one was answered only after policy was made from its endpoint
        found = await self._endpoints.get(pod, request.ifname)
        if found is None or found.container_id != request.container_id or found.mac is None or not found.addresses:
            return None
        held = await self._addresses.held(handle_of(request.network.name, request.container_id))
        if set(held) != set(found.addresses):
            return None
        return None if await self._links.problems(self._link(request, pod, found.addresses), namespace) else found

    async def _attach(self, request: Request, pod: Pod, namespace: PodNamespace) -> Attachment:
        handle = handle_of(request.network.name, request.container_id)
        undo = AsyncExitStack()
        try:
            with self._expecting():
                undo.push_async_callback(self._addresses.release, handle)
                link = self._link(request, pod, ())
                undo.push_async_callback(self._links.disconnect, link.interface)
                mac = self._links.new_mac()
                made, known = (asyncio.get_running_loop().create_future() for _ in range(2))
                wiring = asyncio.ensure_future(self._wire(link, mac, namespace, made=made, known=known))
                undo.push_async_callback(_ended, wiring)
                addresses = await self._addresses.assign(handle, pod, request.network.pools)
                known.set_result(addresses)
                undo.push_async_callback(self._endpoints.delete, pod, request.ifname, request.container_id)
                attachment = await self._endpoints.put(
                    pod, request.ifname, request.container_id, interface=link.interface, addresses=addresses, mac=mac
                )
                await made
            if wiring.done():
                await wiring  # refused: policy would be waited for in vain
            await self._wait_for_policy(request, attachment)
            await wiring
        except BaseException as error:
            await asyncio.shield(asyncio.ensure_future(_take_back(undo, error)))
            raise
        return attachment

    async def _wire(
        self, link: Link, mac: Mac, namespace: PodNamespace, *, made: asyncio.Future[None], known: _Known
    ) -> None:
        """The link, and in it the addresses once they are known; `made` says that there is one, or that none comes."""
        try:
            peer = await self._links.make(link, mac, namespace)
        finally:
            made.set_result(None)
        await self._links.connect(replace(link, addresses=await known), peer, namespace)

    async def _wait_for_policy(self, request: Request, attachment: Attachment) -> None:
        limit_s = request.network.policy_timeout_s or _POLICY_TIMEOUT_S
        try:
            async with asyncio.timeout(limit_s):
                await self._policy_ready(attachment)
        except TimeoutError:
            what = f"policy was not in the kernel after {limit_s} s"
            fix = "see the agent's log and muslin node status; the runtime will try again"
            raise Unavailable(Problem(what, f"{attachment.key}, interface {attachment.interface}", fix)) from None

    async def _delete(self, request: Request) -> None:
        pod, ifname = request.pod, request.ifname
        if pod is not None:
            if await self._is_further(request, pod):
                return  # it was refused; host interface and address are those of the pod's first
            found = await self._endpoints.get(pod, ifname)
            # An endpoint of a newer sandbox is left alone, and so is the interface, which has the same name.
            if found is None or found.container_id in {"", request.container_id}:
                await self._links.disconnect(interface_of(pod.namespace, pod.name, self._prefixes))
                if found is not None:
                    await self._endpoints.delete(pod, ifname, request.container_id, found)
        await self._addresses.release(handle_of(request.network.name, request.container_id))

    async def _check(self, request: Request, pod: Pod, namespace: PodNamespace) -> None:
        assert request.network.previous is not None
        fix = "delete the pod's sandbox, so that the runtime makes a new one"
        problems: list[Problem] = []
        found = await self._endpoints.get(pod, request.ifname)
        where = f"WorkloadEndpoint of {pod.namespace}/{pod.name}"
        expected = tuple(each.ip for each in request.network.previous.addresses)
        if found is None:
            problems.append(Problem("the endpoint is gone", where, fix))
        elif found.container_id != request.container_id:
            problems.append(Problem(f"the endpoint belongs to container {found.container_id!r}", where, fix))
        elif set(found.addresses) != set(expected):
            problems.append(Problem(f"the endpoint has {_list(found.addresses)}, not {_list(expected)}", where, fix))
        handle = handle_of(request.network.name, request.container_id)
        held = await self._addresses.held(handle)
        if set(held) != set(expected):
            what = f"IPAM holds {_list(held)} for the container, not {_list(expected)}"
            problems.append(Problem(what, f"IPAMHandle {handle}", fix))
        problems += await self._links.problems(self._link(request, pod, expected), namespace)
        if problems:
            raise CniError(Code.CHECK_FAILED, problems)


async def _ended(task: asyncio.Future[Any]) -> None:
    """Wait until a step is over, whatever comes of it."""
    task.cancel()
    await asyncio.wait([task])
    if not task.cancelled():
        task.exception()


async def _take_back(undo: AsyncExitStack, cause: BaseException) -> None:
    """Undo in reverse, all of it; what can't be undone is told as a note of the cause."""
    try:
        await undo.aclose()
    except Exception as error:  # noqa: BLE001  the cause of the rollback is what is raised
        cause.add_note(f"and the rollback failed: {error}")


def _list(addresses: tuple[Address, ...]) -> str:
    return ", ".join(sorted(map(str, addresses))) or "nothing"
