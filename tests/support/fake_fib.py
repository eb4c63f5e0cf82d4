"""A forwarding table that holds our routes: asked `next_hop(address)`, it answers by longest prefix."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from muslin.errors import KernelRefused
from muslin.net import Address
from runtime.dataplane.netlink.routes import BLACKHOLE, KernelRoute, Neighbour, normal_metric
from runtime.dataplane.routes import ActualRoutes, DesiredRoutes, RouteOutcome, plan_routes

__all__ = ["FakeRoutes", "NextHop"]


@dataclass(frozen=True, slots=True)
class NextHop:
    """Where a packet goes: out of which interface (None: thrown away), to whom (None: to the address itself)."""

    interface: str | None
    gateway: Address | None = None


@dataclass(slots=True)
class FakeRoutes:
    """Stands in for `Routes`. `interfaces`: Mapping[name, index]: give a link before a route needs it."""

    interfaces: dict[str, int] = field(default_factory=lambda: {"lo": 1, "eth0": 2})
    routes: list[KernelRoute] = field(default_factory=list)
    neighbours: set[Neighbour] = field(default_factory=set)
    writes: int = 0
    _failures: dict[str, int] = field(default_factory=dict)
    _disturbed: bool = False

    def fail_next(self, operation: str, errno: int) -> None:
        """The next `route add`, `route replace` or `route delete` is refused with this error number."""
        self._failures[operation] = errno

    def add_link(self, name: str) -> None:
        """An interface appears."""
        self.interfaces.setdefault(name, max(self.interfaces.values()) + 1)
        self._disturbed = True

    def delete_link(self, name: str) -> None:
        """An interface goes, and with it its routes and neighbours, without a word about them."""
        index = self.interfaces.pop(name)
        self.routes = [route for route in self.routes if route.interface != index]
        self.neighbours = {item for item in self.neighbours if item.interface != index}
        self._disturbed = True

    def converge(self, desired: DesiredRoutes) -> RouteOutcome:
        """See RouteKernel."""
        actual = ActualRoutes(tuple(self.routes), frozenset(self.neighbours), dict(self.interfaces))
        plan = plan_routes(desired, actual)
        refused: list[KernelRefused] = []
        for operation, routes in (
            ("route delete", plan.make_room),
            ("route add", plan.add),
            ("route replace", plan.replace),
            ("route delete", plan.delete),
        ):
            for route in routes:
                number = self._failures.pop(operation, None)
                if number is not None:
                    refused.append(KernelRefused(operation, str(route.prefix), number))
                elif operation == "route delete":
                    self.routes.remove(route)
                else:
                    self._put(route, replacing=operation == "route replace")
                self.writes += 1
        self.neighbours -= set(plan.delete_neighbours)
        for neighbour in plan.set_neighbours:
            same = {n for n in self.neighbours if (n.interface, n.address) == (neighbour.interface, neighbour.address)}
            self.neighbours = (self.neighbours - same) | {neighbour}
        return RouteOutcome(plan, tuple(refused))

    def _put(self, route: KernelRoute, *, replacing: bool) -> None:
        settled = replace(route, metric=normal_metric(route.prefix.version, route.metric))
        if replacing:
            same = (settled.prefix, settled.metric)
            old = next(had for had in self.routes if (had.prefix, had.metric) == same)
            self.routes.remove(old)
        self.routes.append(settled)

    def fileno(self) -> int:
        """Nothing to listen to: a simulation calls `drain` itself."""
        return -1

    def drain(self) -> bool:
        """Whether links changed since the last call."""
        disturbed, self._disturbed = self._disturbed, False
        return disturbed

    def close(self) -> None:
        """Nothing to let go."""

    def next_hop(self, address: Address) -> NextHop | None:
        """Where a packet to the address goes by our routes; None: other routes of the node decide."""
        fitting = [route for route in self.routes if address in route.prefix]
        if not fitting:
            return None
        best = min(fitting, key=lambda route: (-route.prefix.prefixlen, route.metric))
        if best.kind == BLACKHOLE:
            return NextHop(None)
        names = {index: name for name, index in self.interfaces.items()}
        return NextHop(names.get(best.interface), best.gateway)
