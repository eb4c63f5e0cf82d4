"""Wiring a pod by our own netlink; `ip -json` and `ping` are the independent witnesses."""

from __future__ import annotations

import json
from ipaddress import ip_address
from pathlib import Path

import pytest

from muslin.errors import KernelRefused
from muslin.net import Mac
from runtime.dataplane import links
from runtime.dataplane.netlink import links as link_codec
from runtime.dataplane.netlink import routes as codec
from runtime.dataplane.netlink.socket import ROUTE, NetlinkSocket
from tests.support.netns import entered, ip, isolated, new_namespace, run
from tests.support.node_states import PODS
from tests.support.pod_wiring import wire_node

_POD = ip_address("10.48.0.1")


@isolated
def test_pod_is_wired_as_calico_wires_it() -> None:
    """Host MAC, MTU, /32 and /128, the gateway's route and neighbour, sysctls, host route: as calico.md 5 has them."""
    wiring = wire_node()
    pod = wiring.pods["cali1"]

    (host,) = json.loads(ip("-json -d link show cali1"))
    inside = json.loads(ip("-json addr show eth0", pod))[0]
    routes = {route["dst"]: route for route in json.loads(ip("-json route", pod))}
    (gateway,) = json.loads(ip("-json -4 neigh show 169.254.1.1 dev eth0", pod))

    assert (host["address"], host["mtu"], host["linkinfo"]["info_kind"]) == ("ee:ee:ee:ee:ee:ee", 1450, "veth")
    assert inside["mtu"] == 1450
    own = {(a["local"], a["prefixlen"]) for a in inside["addr_info"] if a["scope"] == "global"}
    assert own == {("10.48.0.1", 32), ("2001:db8::1", 128)}
    assert routes["169.254.1.1"]["scope"] == "link"
    assert routes["default"]["gateway"] == "169.254.1.1"
    assert (gateway["dst"], gateway["lladdr"], gateway["state"]) == ("169.254.1.1", "ee:ee:ee:ee:ee:ee", ["PERMANENT"])
    sysctls = {
        "ipv4/conf/cali1/proxy_arp": "1",
        "ipv4/conf/cali1/forwarding": "1",
        "ipv4/conf/cali1/route_localnet": "1",
        "ipv4/neigh/cali1/proxy_delay": "0",
        "ipv4/conf/cali1/rp_filter": Path("/proc/sys/net/ipv4/conf/default/rp_filter").read_text("ascii").strip(),
        "ipv6/conf/cali1/disable_ipv6": "0",
        "ipv6/conf/cali1/accept_ra": "0",
        "ipv6/conf/cali1/accept_dad": "0",
        "ipv6/conf/cali1/proxy_ndp": "1",
        "ipv6/conf/cali1/forwarding": "1",
    }
    for path, value in sysctls.items():
        assert Path("/proc/sys/net", path).read_text(encoding="ascii").strip() == value, path
    assert "10.48.0.1 dev cali1 proto 80 scope link" in ip("route show 10.48.0.1")
    for version in (0, 1):
        run("ping", "-c1", "-W2", str(PODS["cali2"][version]), namespace=pod)


@isolated
def test_every_step_can_be_undone_and_repeated() -> None:
    """A taken name is refused; deleting what is gone is success; the veth takes the pod's end along."""
    host = NetlinkSocket(ROUTE)
    namespace = new_namespace()
    link = links.create_veth(host, links.Veth("cali9", "eth0", namespace, 1400))
    links.configure_host_side(host, link)
    with pytest.raises(KernelRefused, match="File exists"):
        links.create_veth(host, links.Veth("cali9", "eth1", namespace, 1400))

    links.delete_link(host, "cali9")
    links.delete_link(host, "cali9")

    assert links.find_link(host, "cali9") is None
    with entered(namespace):
        assert links.find_link(NetlinkSocket(ROUTE), "eth0") is None


@isolated
def test_many_links_are_deleted_together_and_no_others() -> None:
    """Of several names the links that are there go, an absent one is success; a foreign link and another pod's stay."""
    host = NetlinkSocket(ROUTE)
    namespace = new_namespace()
    for number in range(5):
        links.create_veth(host, links.Veth(f"cali{number}", f"eth{number}", namespace, 1400))
    ip("link add foreign0 type veth peer name foreign1")

    refused = links.delete_links(host, ("cali0", "cali1", "cali9", "cali3", "cali4"))

    assert refused == [None] * 5
    there = {link["ifname"] for link in json.loads(ip("-json link"))}
    assert there >= {"lo", "cali2", "foreign0", "foreign1"}
    assert [name for name in there if name.startswith("cali")] == ["cali2"]


@isolated
def test_a_link_that_is_refused_leaves_the_others_set_up() -> None:
    """The host's ends of links that are there come up with their settings; for one that went meanwhile it is said."""
    host = NetlinkSocket(ROUTE)
    namespace = new_namespace()
    made = [links.create_veth(host, links.Veth(f"cali{n}", f"eth{n}", namespace, 1400)) for n in range(3)]
    links.delete_link(host, "cali1")

    refused = links.configure_host_sides(host, made)

    assert [each is None for each in refused] == [True, False, True]
    assert (refused[1] is not None and refused[1].object) == "cali1"
    up = [links.find_link(host, f"cali{n}") for n in (0, 2)]
    assert all(link is not None and link.up for link in up)


@isolated
def test_reading_links_addresses_and_neighbours_agrees_with_ip() -> None:
    """Our parsers give what `ip -json` prints, for every link, address and neighbour of a wired node."""
    wire_node()
    host = NetlinkSocket(ROUTE)
    ours = {link.name: link for link in map(link_codec.parse_link, host.dump(link_codec.get_link()))}
    theirs = {link["ifname"]: link for link in json.loads(ip("-json -d link"))}
    index = {link["ifindex"]: name for name, link in theirs.items()}

    assert {n: (k.index, k.mtu, k.kind, k.up) for n, k in ours.items()} == {
        n: (k["ifindex"], k["mtu"], k.get("linkinfo", {}).get("info_kind", ""), "UP" in k["flags"])
        for n, k in theirs.items()
    }
    assert ours["cali1"].mac == Mac("ee:ee:ee:ee:ee:ee")
    addresses = {
        (index[found.interface], str(found.address))
        for version in (4, 6)
        for found in map(codec.parse_address, host.dump(codec.dump_addresses(version)))
    }
    assert addresses == {
        (link["ifname"], f"{a['local']}/{a['prefixlen']}")
        for link in json.loads(ip("-json addr"))
        for a in link["addr_info"]
    }
