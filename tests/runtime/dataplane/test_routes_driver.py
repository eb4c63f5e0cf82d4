"""The routes driver against the real kernel; `ip -json` is the independent witness."""

from __future__ import annotations

import json
import select
import struct
from dataclasses import replace
from ipaddress import ip_address, ip_network
from random import Random

import pytest

from muslin.net import Mac
from runtime.calc.state import Route, RouteClass, RouteKind
from runtime.dataplane.netlink.links import NEW_LINK
from runtime.dataplane.netlink.socket import Event, Events
from runtime.dataplane.netlink.wire import attribute
from runtime.dataplane.routes import DesiredRoutes, Routes, winners
from tests.support.fake_fib import FakeRoutes, NextHop
from tests.support.netns import ip, isolated

_BLOCK = ip_network("10.48.0.0/26")


def _link(name: str) -> None:
    ip(f"link add {name} type veth peer name far-{name}")
    ip(f"link set {name} up")
    ip(f"link set far-{name} up")


def _links() -> None:
    for name in ("eth0", "cali1", "cali2"):
        _link(name)
    ip("addr add 192.0.2.1/24 dev eth0")
    ip("-6 addr add 2001:db8:2::1/64 dev eth0 nodad")


def _random_routes(random: Random) -> DesiredRoutes:
    routes = []
    for text in ("10.48.0.0/26", "10.48.0.1/32", "10.48.0.2/32", "10.48.1.0/26", "2001:db8::1/128", "2001:db8::/122"):
        prefix = ip_network(text)
        gateways = ("192.0.2.2", "192.0.2.3") if prefix.version == 4 else ("2001:db8:2::2", "2001:db8:2::3")
        for _ in range(random.randint(0, 2)):
            kind = random.choice(("direct", "gateway", "onlink", "blackhole"))
            klass = random.choice(list(RouteClass))
            if kind == "direct":
                routes.append(Route(prefix, klass, interface=random.choice(("cali1", "cali2"))))
            elif kind == "blackhole":
                routes.append(Route(prefix, klass, RouteKind.BLACKHOLE))
            else:
                gateway = ip_address(random.choice(gateways))
                device = "eth0" if kind == "onlink" else random.choice((None, "eth0"))
                routes.append(Route(prefix, klass, interface=device, next_hop=gateway, onlink=kind == "onlink"))
    macs = (Mac("02:00:00:00:00:01"), Mac("02:00:00:00:00:02"))
    neighbours = {
        (name, ip_address("10.48.0.1")): random.choice(macs) for name in ("cali1", "cali2") if random.random() < 0.5
    }
    return DesiredRoutes(tuple(routes), neighbours)


def _witness() -> set[tuple[str, str, str]]:
    found = set()
    for family in ("-4", "-6"):
        for route in json.loads(ip(f"-json -d {family} route show table main proto 80")):
            found.add((route["dst"], route["type"], route.get("gateway") or route.get("dev", "")))
    return found


@isolated
def test_any_routes_follow_any_others() -> None:
    """Random walks: `ip` shows exactly what was wanted, a second look plans nothing, the fake agrees."""
    _links()
    random = Random(11)
    driver, fake = Routes(), FakeRoutes({"lo": 1, "eth0": 2, "cali1": 3, "cali2": 4})
    for _ in range(120):
        desired = _random_routes(random)

        outcome = driver.converge(desired)
        fake.converge(desired)

        assert outcome.refused == ()
        wanted = {
            (
                str(route.prefix).removesuffix("/32").removesuffix("/128"),
                route.kind.value,
                "" if route.kind is RouteKind.BLACKHOLE else str(route.next_hop or route.interface),
            )
            for route in winners(desired.routes).values()
        }
        assert {(dst, kind, "" if kind == "blackhole" else to) for dst, kind, to in _witness()} == wanted
        assert not driver.converge(desired), desired
        assert not fake.converge(desired)
        for prefix, route in winners(desired.routes).items():
            if prefix.prefixlen == prefix.max_prefixlen and route.kind is RouteKind.UNICAST:
                hop = fake.next_hop(prefix.network_address)
                assert hop is not None
                assert hop.gateway == route.next_hop


@isolated
def test_static_neighbours_spare_the_first_packet_an_arp() -> None:
    """A workload's MAC is a permanent entry, as `ip neigh` shows; it goes with the wish."""
    _links()
    driver = Routes()
    wish = DesiredRoutes((), {("cali1", ip_address("10.48.0.1")): Mac("02:00:00:00:00:01")})
    driver.converge(wish)

    (entry,) = json.loads(ip("-json neigh show dev cali1"))

    assert (entry["dst"], entry["lladdr"], entry["state"]) == ("10.48.0.1", "02:00:00:00:00:01", ["PERMANENT"])
    driver.converge(DesiredRoutes())
    assert json.loads(ip("-json neigh show dev cali1")) == []


@isolated
def test_foreign_routes_stay_and_make_ours_refused_by_name() -> None:
    """A route of another protocol with our prefix is not replaced; the refusal names ours; others go in."""
    _links()
    ip("route add 10.48.0.0/26 dev cali2 proto bird")
    wish = DesiredRoutes(
        (Route(_BLOCK, RouteClass.BLACKHOLE, RouteKind.BLACKHOLE),
         Route(ip_network("10.48.1.0/26"), RouteClass.BGP, next_hop=ip_address("192.0.2.2")))
    )  # fmt: skip

    outcome = Routes().converge(wish)

    assert [(refused.operation, refused.object) for refused in outcome.refused] == [
        ("route add", "blackhole 10.48.0.0/26")
    ]
    assert "proto bird" in ip("route show 10.48.0.0/26")
    assert "via 192.0.2.2" in ip("route show 10.48.1.0/26")


@isolated
def test_refusal_carries_the_kernels_own_words() -> None:
    """A next hop that can't be reached: operation, route, error and the extended ack's text."""
    _links()
    wish = DesiredRoutes((Route(_BLOCK, RouteClass.BGP, interface="eth0", next_hop=ip_address("198.51.100.1")),))

    (refused,) = Routes().converge(wish).refused

    assert (refused.operation, refused.extack) == ("route add", "Nexthop has invalid gateway")
    assert refused.object.startswith("10.48.0.0/26 via 198.51.100.1")


@isolated
def test_deleted_and_forged_routes_are_noticed_and_repaired() -> None:
    """Somebody deletes or adds a route with our protocol: the listener wakes us, and it is put right."""
    _links()
    driver = Routes()
    wish = DesiredRoutes((Route(_BLOCK, RouteClass.BGP, next_hop=ip_address("192.0.2.2")),))
    driver.converge(wish)
    assert not driver.drain()
    for damage in (
        "route del 10.48.0.0/26",
        "route add 10.49.0.0/26 dev cali1 proto 80",
        "route replace 10.48.0.0/26 via 192.0.2.2 proto 80 mtu 600",
        "link set eth0 down",
    ):
        ip(damage)
        assert select.select([driver], [], [], 5)[0]

        assert driver.drain(), damage
        ip("link set eth0 up")
        assert driver.converge(wish)
        assert {(str(_BLOCK), "unicast", "192.0.2.2")} == _witness()
        assert "mtu" not in ip("route show proto 80")
        driver.drain()


@isolated
def test_routes_that_went_with_an_address_come_back_with_it() -> None:
    """The kernel drops routes by way of a network without a word when the address goes; both events say look again."""
    _links()
    driver = Routes()
    learnt = Route(_BLOCK, RouteClass.BGP, next_hop=ip_address("192.0.2.2"))
    driver.converge(DesiredRoutes((learnt,)))
    driver.drain()
    ip("addr del 192.0.2.1/24 dev eth0")
    assert driver.drain()
    assert driver.converge(DesiredRoutes((learnt,))).refused
    ip("addr add 192.0.2.1/24 dev eth0")
    assert driver.drain()
    assert not driver.converge(DesiredRoutes((learnt,))).refused
    assert "10.48.0.0/26 via 192.0.2.2" in ip("-4 route show proto 80")
    driver.close()


@isolated
def test_nothing_is_read_again_while_nobody_else_writes() -> None:
    """After its own writes and a new link the driver knows what is there; what others did makes it look."""
    _links()
    driver = Routes()
    first = Route(ip_network("10.48.0.1/32"), RouteClass.WORKLOAD, interface="cali1")
    driver.converge(DesiredRoutes((first,), {("cali1", ip_address("10.48.0.1")): Mac("02:00:00:00:00:01")}))
    reads = []
    read = driver.read
    driver.read = lambda: reads.append(1) or read()  # type: ignore[func-returns-value, method-assign]
    second = Route(ip_network("10.48.0.3/32"), RouteClass.WORKLOAD, interface="cali3")
    _link("cali3")
    wish = DesiredRoutes((first, second), {("cali3", ip_address("10.48.0.3")): Mac("02:00:00:00:00:03")})

    assert driver.converge(wish)
    assert not driver.converge(wish)
    assert not reads
    assert _witness() == {("10.48.0.1", "unicast", "cali1"), ("10.48.0.3", "unicast", "cali3")}
    for damage in ("link set cali3 down", "link del cali1", "route replace 10.48.0.3/32 dev cali2 proto bird"):
        ip(damage)
        assert driver.drain(), damage
        driver.converge(wish)
        assert reads.pop()
        reads.clear()
        ip("link set cali3 up")
        driver.drain()
        driver.converge(wish)
    assert "proto bird" in ip("route show 10.48.0.3")


@isolated
def test_news_about_a_link_without_its_name_hide_no_others(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wireless drivers send link messages that hold nothing but their own attribute (IFLA_WIRELESS, 11)."""
    _links()
    driver = Routes()
    wish = DesiredRoutes((Route(_BLOCK, RouteClass.BGP, next_hop=ip_address("192.0.2.2")),))
    driver.converge(wish)
    events = driver._listener.events
    odd = Event(NEW_LINK, 0, bytes(4) + struct.pack("=i", 2) + bytes(8) + attribute(11, b"\0" * 8))

    def with_odd() -> Events:
        told = events()
        return Events((odd, *told.received), told.lost)

    monkeypatch.setattr(driver._listener, "events", with_odd)
    assert not driver.drain()
    ip("route del 10.48.0.0/26")
    assert select.select([driver], [], [], 5)[0]

    assert driver.drain()
    assert driver.converge(wish)


@isolated
def test_neighbours_are_looked_at_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody tells of a neighbour that somebody deleted: what was read is believed for a limited time only."""
    _links()
    driver = Routes()
    wish = DesiredRoutes((), {("cali1", ip_address("10.48.0.1")): Mac("02:00:00:00:00:01")})
    driver.converge(wish)
    ip("neigh del 10.48.0.1 dev cali1")
    monkeypatch.setattr("runtime.dataplane.routes._BELIEVED_S", -1.0)

    assert driver.converge(wish)
    assert len(json.loads(ip("-json neigh show dev cali1"))) == 1


@isolated
def test_route_to_a_missing_interface_waits_for_it() -> None:
    """No refusal, no loss: it is reported as waiting and goes in when the link is there."""
    driver = Routes()
    route = Route(ip_network("10.48.0.7/32"), RouteClass.WORKLOAD, interface="cali7")
    assert driver.converge(DesiredRoutes((route,))).plan.waiting == (route,)
    _link("cali7")
    assert driver.drain()

    driver.converge(DesiredRoutes((route,)))

    assert {("10.48.0.7", "unicast", "cali7")} == _witness()


@isolated
def test_a_new_link_that_no_route_waits_for_is_known_and_wakes_nobody() -> None:
    """Links of pods that are being attached are no reason to look again; the route that comes later finds them."""
    driver = Routes()
    driver.converge(DesiredRoutes())
    _link("cali7")
    route = Route(ip_network("10.48.0.7/32"), RouteClass.WORKLOAD, interface="cali7")

    assert not driver.drain()
    assert not driver.converge(DesiredRoutes((route,))).plan.waiting
    assert {("10.48.0.7", "unicast", "cali7")} == _witness()


def test_smaller_class_wins_and_order_does_not_matter() -> None:
    """The workload's route beats BGP's, which beats the blackhole, whoever comes first."""
    workload = Route(_BLOCK, RouteClass.WORKLOAD, interface="cali1")
    routes = [workload, replace(workload, route_class=RouteClass.BGP), Route(_BLOCK, RouteClass.BLACKHOLE)]

    assert winners(routes) == winners(reversed(routes)) == {_BLOCK: workload}


def test_fake_refuses_when_told_and_forgets_routes_of_a_gone_link() -> None:
    """`fail_next` refuses one operation; the next try succeeds; a deleted link takes its routes along."""
    fake = FakeRoutes()
    fake.add_link("cali1")
    wish = DesiredRoutes((Route(_BLOCK, RouteClass.WORKLOAD, interface="cali1"),))
    fake.fail_next("route add", 12)

    assert [refused.errno for refused in fake.converge(wish).refused] == [12]
    assert fake.next_hop(ip_address("10.48.0.1")) is None
    assert fake.converge(wish)
    assert fake.next_hop(ip_address("10.48.0.1")) == NextHop("cali1")
    fake.delete_link("cali1")
    assert fake.next_hop(ip_address("10.48.0.1")) is None
