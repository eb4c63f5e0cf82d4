"""Our rtnetlink messages in the eyes of pyroute2, and its messages in ours: two codecs that share no line."""

from __future__ import annotations

from ipaddress import ip_address, ip_interface, ip_network
from random import Random
from typing import Any

import pytest
from pyroute2.netlink.rtnl.ifaddrmsg import ifaddrmsg
from pyroute2.netlink.rtnl.ifinfmsg import ifinfmsg
from pyroute2.netlink.rtnl.ndmsg import ndmsg
from pyroute2.netlink.rtnl.ndtmsg import ndtmsg
from pyroute2.netlink.rtnl.rtmsg import rtmsg

from muslin.net import Address, Mac, Prefix
from runtime.dataplane.netlink import links, routes, wire
from runtime.dataplane.netlink.routes import KernelRoute, Neighbour
from runtime.dataplane.netlink.wire import Message

_HEADER = 16
_ONLINK = 4


def _decoded(kind: Any, message: Message) -> tuple[dict[str, Any], dict[str, Any]]:
    """What pyroute2 reads: fixed fields, and attributes by name."""
    found = kind(wire.pack(message, 1))
    found.decode()
    return found, dict(found["attrs"])


def _prefix(random: Random, version: int) -> Prefix:
    bits = 32 if version == 4 else 128
    length = random.randint(1, bits)
    number = random.getrandbits(bits) >> (bits - length) << (bits - length)
    family = "0.0.0.0/0" if version == 4 else "::/0"
    return type(ip_network(family))((number, length))


def _address(random: Random, version: int) -> Address:
    return ip_address(random.getrandbits(32) if version == 4 else (0x20010DB8 << 96) + random.getrandbits(64))


@pytest.mark.parametrize("seed", range(40))
def test_pyroute2_reads_the_route_that_we_wrote(seed: int) -> None:
    """Prefix, next hop, interface, metric, kind, table and protocol arrive as they were meant."""
    random = Random(seed)
    version = random.choice((4, 6))
    blackhole = random.random() < 0.2
    route = KernelRoute(
        _prefix(random, version),
        0 if blackhole else random.randint(1, 500),
        None if blackhole else random.choice((None, _address(random, version))),
        kind=routes.BLACKHOLE if blackhole else routes.UNICAST,
        onlink=not blackhole and random.random() < 0.5,
        metric=random.choice((0, 7, 1024)),
    )

    fields, attributes = _decoded(rtmsg, routes.add_route(route))

    assert (fields["dst_len"], fields["type"], fields["proto"]) == (route.prefix.prefixlen, route.kind, 80)
    assert attributes.get("RTA_TABLE", fields["table"]) == 254
    assert bool(fields["flags"] & _ONLINK) == route.onlink
    assert ip_address(attributes["RTA_DST"]) == route.prefix.network_address
    assert attributes.get("RTA_OIF", 0) == route.interface
    assert attributes.get("RTA_GATEWAY") == (None if route.gateway is None else str(route.gateway))
    assert routes.normal_metric(version, attributes.get("RTA_PRIORITY", 0)) == routes.normal_metric(
        version, route.metric
    )


@pytest.mark.parametrize("seed", range(40))
def test_we_read_the_route_that_pyroute2_wrote(seed: int) -> None:
    """The other way round, from a message as the kernel would send it."""
    random = Random(seed)
    version = random.choice((4, 6))
    prefix, gateway = _prefix(random, version), _address(random, version)
    message = rtmsg()
    message["family"] = 2 if version == 4 else 10
    message["dst_len"], message["table"], message["proto"], message["type"] = prefix.prefixlen, 254, 80, 1
    message["attrs"] = [
        ("RTA_TABLE", 254), ("RTA_DST", str(prefix.network_address)), ("RTA_GATEWAY", str(gateway)),
        ("RTA_OIF", 7), ("RTA_PRIORITY", 20),
    ]  # fmt: skip
    message.encode()

    route = routes.parse_route(bytes(message.data)[_HEADER:])

    expected = KernelRoute(prefix, 7, gateway, metric=20)
    assert (route.prefix, route.interface, route.gateway) == (expected.prefix, expected.interface, expected.gateway)
    assert (route.metric, route.protocol, route.table, route.plain) == (20, 80, 254, True)


@pytest.mark.parametrize("address", ["192.0.2.7", "2001:db8::7"])
def test_pyroute2_reads_our_neighbour_and_address(address: str) -> None:
    """A permanent neighbour with its MAC; an address with its length, without duplicate detection for IPv6."""
    where = ip_address(address)
    neighbour = Neighbour(5, where, Mac("ee:ee:ee:ee:ee:ee"))
    on_link = ip_interface(f"{address}/{where.max_prefixlen}")

    near, near_attributes = _decoded(ndmsg, routes.add_neighbour(neighbour))
    given, given_attributes = _decoded(ifaddrmsg, routes.add_address(5, on_link))

    assert (near["ifindex"], near["state"]) == (5, 0x80)
    assert (near_attributes["NDA_DST"], near_attributes["NDA_LLADDR"]) == (address, "ee:ee:ee:ee:ee:ee")
    assert (given["index"], given["prefixlen"]) == (5, where.max_prefixlen)
    assert given_attributes["IFA_ADDRESS"] == address


def test_pyroute2_reads_our_veth_with_its_peer() -> None:
    """Both ends of the pair, the peer's namespace and MTU included."""
    host, pod = Mac("ee:ee:ee:ee:ee:ee"), Mac("02:00:00:00:00:01")

    message = links.create_veth("cali0", host, 1400, peer="eth0", peer_namespace=5, peer_mac=pod)
    _, attributes = _decoded(ifinfmsg, message)

    assert (attributes["IFLA_IFNAME"], attributes["IFLA_MTU"], attributes["IFLA_ADDRESS"]) == ("cali0", 1400, host)
    information = dict(attributes["IFLA_LINKINFO"]["attrs"])
    peer = dict(dict(information["IFLA_INFO_DATA"]["attrs"])["VETH_INFO_PEER"]["attrs"])
    assert information["IFLA_INFO_KIND"] == "veth"
    assert (peer["IFLA_IFNAME"], peer["IFLA_MTU"], peer["IFLA_NET_NS_FD"], peer["IFLA_ADDRESS"]) == (
        "eth0",
        1400,
        5,
        pod,
    )


def test_pyroute2_reads_a_delay_and_a_group() -> None:
    """The delay of proxied answers stands in its table and for its interface; a group of links by its number."""
    _, of_table = _decoded(ndtmsg, routes.set_proxy_delay(7, 80))
    _, going = _decoded(ifinfmsg, links.delete_group(0x63616C69))
    _, moved = _decoded(ifinfmsg, links.move_to_group("cali7", 0x63616C69))

    parameters = dict(of_table["NDTA_PARMS"]["attrs"])
    assert of_table["NDTA_NAME"] == "arp_cache"
    assert (parameters["NDTPA_IFINDEX"], parameters["NDTPA_PROXY_DELAY"]) == (7, 80)
    assert going["IFLA_GROUP"] == 0x63616C69
    assert (moved["IFLA_IFNAME"], moved["IFLA_GROUP"]) == ("cali7", 0x63616C69)
