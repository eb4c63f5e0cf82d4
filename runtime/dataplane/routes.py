"""Driver of our routes in the main table and of static neighbours on workload interfaces.

Ours is what carries our protocol number; other routes are neither changed nor deleted, and one with the same prefix
and metric makes the kernel refuse ours, which is reported. A route whose interface is not there waits: a link event
says look again.
"""

from __future__ import annotations

import errno
import time
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace

from muslin.errors import KernelRefused
from muslin.net import Address, Mac, Prefix
from runtime.calc.state import NodeState, Route, RouteKind
from runtime.dataplane.netlink import links
from runtime.dataplane.netlink import routes as codec
from runtime.dataplane.netlink.routes import KernelRoute, Neighbour
from runtime.dataplane.netlink.socket import ROUTE, Event, NetlinkSocket
from runtime.dataplane.netlink.wire import Message
from runtime.dataplane.ownership import MAIN_TABLE, ROUTE_PROTOCOL, is_workload_interface

__all__ = ["ActualRoutes", "DesiredRoutes", "RouteOutcome", "RoutePlan", "Routes", "plan_routes", "winners"]

_BELIEVED_S = 60.0
"""How long events are trusted to have told everything; neighbours tell nothing, as their table changes all the time."""


@dataclass(frozen=True, slots=True)
class DesiredRoutes:
    """What forwarding a node must have.

    Attributes:
        routes: from all producers; where two want a prefix the smaller RouteClass wins.
        neighbours: Mapping[(interface name, address), MAC]: who need not be asked for by ARP.
        keep_learnt: our routes with a next hop stay even if nobody wants them: the speaker has not heard everybody.
    """

    routes: tuple[Route, ...] = ()
    neighbours: Mapping[tuple[str, Address], Mac] = field(default_factory=dict)
    keep_learnt: bool = False

    @classmethod
    def of(cls, state: NodeState, learnt: Iterable[Route] = (), *, keep_learnt: bool = False) -> DesiredRoutes:
        """A node's own routes and neighbours, and those that BGP learnt."""
        neighbours = {
            (endpoint.interface, address): endpoint.mac
            for endpoint in state.endpoints.values()
            if endpoint.mac is not None
            for address in endpoint.addresses
        }
        return cls((*state.routes, *learnt), neighbours, keep_learnt)


@dataclass(frozen=True, slots=True)
class ActualRoutes:
    """What is ours in the kernel, and which interfaces there are. `interfaces`: Mapping[name, index]."""

    routes: tuple[KernelRoute, ...]
    neighbours: frozenset[Neighbour]
    interfaces: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class RoutePlan:
    """What to do, in this order. `waiting` are wanted routes whose interface is not there."""

    make_room: tuple[KernelRoute, ...] = ()
    add: tuple[KernelRoute, ...] = ()
    replace: tuple[KernelRoute, ...] = ()
    delete: tuple[KernelRoute, ...] = ()
    set_neighbours: tuple[Neighbour, ...] = ()
    delete_neighbours: tuple[Neighbour, ...] = ()
    waiting: tuple[Route, ...] = ()

    def __bool__(self) -> bool:
        routes = self.make_room or self.add or self.replace or self.delete
        return bool(routes or self.set_neighbours or self.delete_neighbours)


@dataclass(frozen=True, slots=True)
class RouteOutcome:
    """What came of a plan; true if anything had to be written."""

    plan: RoutePlan
    refused: tuple[KernelRefused, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.plan)


def winners(routes: Iterable[Route]) -> dict[Prefix, Route]:
    """Mapping[prefix, the one route for it]: the smaller class, then the smaller interface and next hop."""
    chosen: dict[Prefix, Route] = {}
    for route in sorted(routes, key=lambda item: (item.route_class, item.interface or "", str(item.next_hop or ""))):
        chosen.setdefault(route.prefix, route)
    return chosen


def plan_routes(desired: DesiredRoutes, actual: ActualRoutes) -> RoutePlan:
    """The smallest change; pure."""
    wanted: dict[Prefix, KernelRoute] = {}
    waiting: list[Route] = []
    for prefix, route in winners(desired.routes).items():
        found = _as_kernel_has_it(route, actual.interfaces)
        if found is None:
            waiting.append(route)
        else:
            wanted[prefix] = found
    make_room, delete, kept, same_place = [], [], set(), {}
    for had in actual.routes:
        want = wanted.get(had.prefix)
        if want is not None and had.prefix not in kept and _same(want, had):
            kept.add(had.prefix)
        elif want is None and desired.keep_learnt and had.gateway is not None:
            continue
        elif want is None or want.metric != had.metric or had.prefix in same_place:
            delete.append(had)
        elif had.prefix.version == 6 and (want.gateway is None) != (had.gateway is None):
            make_room.append(had)  # IPv6 would put the two side by side
        else:
            same_place[had.prefix] = had
    delete += [had for prefix, had in same_place.items() if prefix in kept]
    replace = [want for prefix, want in wanted.items() if prefix in same_place and prefix not in kept]
    add = [want for prefix, want in wanted.items() if prefix not in same_place and prefix not in kept]
    neighbours = {
        Neighbour(actual.interfaces[interface], address, mac)
        for (interface, address), mac in desired.neighbours.items()
        if interface in actual.interfaces
    }
    taken = {(item.interface, item.address) for item in neighbours}
    gone = [item for item in actual.neighbours if (item.interface, item.address) not in taken]
    return RoutePlan(
        tuple(make_room),
        tuple(add),
        tuple(replace),
        tuple(delete),
        tuple(sorted(neighbours - actual.neighbours, key=str)),
        tuple(sorted(gone, key=str)),
        tuple(waiting),
    )


def _as_kernel_has_it(route: Route, interfaces: Mapping[str, int]) -> KernelRoute | None:
    metric = codec.normal_metric(route.prefix.version, route.metric)
    if route.kind is RouteKind.BLACKHOLE:
        return KernelRoute(route.prefix, kind=codec.BLACKHOLE, metric=metric)
    index = 0 if route.interface is None else interfaces.get(route.interface)
    if index is None:
        return None
    return KernelRoute(route.prefix, index, route.next_hop, onlink=route.onlink, metric=metric)


def _same(want: KernelRoute, had: KernelRoute) -> bool:
    """Whether the kernel's route is the wanted one; a wanted gateway without interface goes where the kernel put it."""
    interface = want.interface == had.interface or (want.interface == 0 and want.gateway is not None)
    return had.plain and interface and (want.gateway, want.kind, want.onlink, want.metric) == (
        had.gateway, had.kind, had.onlink, had.metric,
    )  # fmt: skip


class Routes:
    """The driver; for one thread, in the network namespace in which it was made.

    What it has read it keeps while events say that nobody else changed it, and up to `_BELIEVED_S`.
    """

    def __init__(self) -> None:
        self._socket = NetlinkSocket(ROUTE)
        self._port = self._socket.port
        self._actual: ActualRoutes | None = None
        self._read_at = 0.0
        self._links: dict[int, tuple[str, bool]] = {}
        self._awaited: Collection[str | None] = ()
        groups = ("link", "ipv4-address", "ipv4-route", "ipv6-route")
        self._listener = NetlinkSocket(ROUTE, [codec.GROUPS[name] for name in groups])

    def close(self) -> None:
        """Close the sockets; the routes stay."""
        self._socket.close()
        self._listener.close()

    def fileno(self) -> int:
        """Becomes readable when links or routes changed; then call `drain`."""
        return self._listener.fileno()

    def drain(self) -> bool:
        """Take all events; whether to look again: somebody else changed a route of ours, or a link changed."""
        events = self._listener.events()
        if events.lost:
            self._actual = None
        matter = [self._matters(event) for event in events.received]  # every one, as each may change what we know
        return events.lost or any(matter)

    def _matters(self, event: Event) -> bool:
        """Whether the event says look again; forgets what has been read where the event makes it untrue."""
        if event.kind == codec.DELETE_ADDRESS:
            self._actual = None  # IPv4 routes go with the address, without a word about them
            return True
        if event.kind == codec.NEW_ADDRESS:
            # Every pod's link gets one of IPv6, and no route of ours waits for it.
            name, _ = self._links.get(codec.interface_of_address(event.body), ("", False))
            return not is_workload_interface(name)
        if event.kind not in (codec.NEW_ROUTE, codec.DELETE_ROUTE):
            return self._link_matters(event)
        if event.port == self._port or not codec.is_in_table(event.body, MAIN_TABLE):
            return False
        route = codec.parse_route(event.body)
        ours = route.protocol == ROUTE_PROTOCOL
        if self._actual is None:
            return ours
        # A foreign route takes the place of ours by NLM_F_REPLACE without a word about the one that went.
        replaced = event.kind == codec.NEW_ROUTE and any(had.prefix == route.prefix for had in self._actual.routes)
        if ours or replaced:
            self._actual = None
        return ours or replaced

    def _link_matters(self, event: Event) -> bool:
        """A new link is added to what is known; one that went, was renamed or taken down took routes with it."""
        if event.kind != links.NEW_LINK:
            self._actual = None
            return True
        try:
            index, name, up = links.parse_name(event.body)
        except KeyError:
            return False  # not about the link itself: a wireless driver's news come without a name
        known = self._links.get(index)
        self._links[index] = (name, up)
        if known == (name, up):
            return False
        if known is not None and (known[0] != name or not up):
            self._actual = None
        if self._actual is None:
            return True
        self._actual = replace(self._actual, interfaces={**self._actual.interfaces, name: index})
        return name in self._awaited  # a refused route, such as on a link that is down, makes us read again anyway

    def read(self) -> ActualRoutes:
        """What is ours, and the interfaces."""
        found = [links.parse_link(body) for body in self._socket.dump(links.get_link())]
        interfaces = {link.name: link.index for link in found}
        self._links = {link.index: (link.name, link.up) for link in found}
        ours = {link.index for link in found if is_workload_interface(link.name)}
        routes: list[KernelRoute] = []
        neighbours: set[Neighbour] = set()
        for version in (4, 6):
            for body in self._socket.dump(codec.dump_routes(version, MAIN_TABLE, ROUTE_PROTOCOL)):
                route = codec.parse_route(body)
                if (route.protocol, route.table) == (ROUTE_PROTOCOL, MAIN_TABLE):
                    routes.append(route)
            for body in self._socket.dump(codec.dump_neighbours(version)):
                neighbour = codec.parse_neighbour(body)
                if neighbour is not None and neighbour.permanent and neighbour.interface in ours:
                    neighbours.add(neighbour)
        return ActualRoutes(tuple(routes), frozenset(neighbours), interfaces)

    def plan(self, desired: DesiredRoutes, actual: ActualRoutes) -> RoutePlan:
        """The smallest change."""
        return plan_routes(desired, actual)

    def apply(self, plan: RoutePlan) -> RouteOutcome:
        """Carry a plan out; every refusal is told and stops no other route. Absent on delete is success."""
        work: list[tuple[str, object, Message]] = [
            *(("route delete", route, codec.delete_route(route)) for route in plan.make_room),
            *(("route add", route, codec.add_route(route)) for route in plan.add),
            *(("route replace", route, codec.add_route(route, replace=True)) for route in plan.replace),
            *(("route delete", route, codec.delete_route(route)) for route in plan.delete),
            *(("neighbour add", item, codec.add_neighbour(item)) for item in plan.set_neighbours),
            *(
                ("neighbour delete", item, codec.delete_neighbour(item.interface, item.address))
                for item in plan.delete_neighbours
            ),
        ]
        refused = []
        for index, number, extack in self._socket.batch([message for _, _, message in work]):
            operation, what, _ = work[index]
            gone = operation.endswith("delete") and number in (errno.ESRCH, errno.ENOENT, errno.ENODEV)
            if not gone:
                refused.append(KernelRefused(operation, _named(what), number, extack))
        return RouteOutcome(plan, tuple(refused))

    def converge(self, desired: DesiredRoutes) -> RouteOutcome:
        """Read, plan, apply."""
        self.drain()
        actual, self._actual = self._actual, None
        if actual is None or time.monotonic() - self._read_at > _BELIEVED_S:
            self._read_at = time.monotonic()
            actual = self.read()
        plan = self.plan(desired, actual)
        self._awaited = {route.interface for route in plan.waiting}
        outcome = self.apply(plan)
        if not outcome.refused:
            self._actual = _after(outcome.plan, actual)
        return outcome


def _after(plan: RoutePlan, actual: ActualRoutes) -> ActualRoutes:
    """What is there once a plan went through whole."""
    if not plan:
        return actual
    gone = {*plan.make_room, *plan.delete}
    taken = {route.prefix for route in plan.replace}
    routes = [route for route in actual.routes if route not in gone and route.prefix not in taken]
    places = {(item.interface, item.address) for item in (*plan.set_neighbours, *plan.delete_neighbours)}
    kept = {item for item in actual.neighbours if (item.interface, item.address) not in places}
    return ActualRoutes(
        (*routes, *plan.add, *plan.replace), frozenset(kept | set(plan.set_neighbours)), actual.interfaces
    )


def _named(what: object) -> str:
    if isinstance(what, KernelRoute):
        via = "" if what.gateway is None else f" via {what.gateway}"
        return f"{what.prefix}{via} dev #{what.interface}" if what.kind == codec.UNICAST else f"blackhole {what.prefix}"
    return str(what)
