"""The DaemonSet calico-node against the decisions: its probes, the pools it would create, its MTUs and addresses."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from blueprints.decision import section
from blueprints.upstream.manifests import CONFIG, NODE, addresses, probes
from blueprints.upstream.network import Backend, Network
from blueprints.upstream.pools import environment
from blueprints.upstream.verify.installed import Found, Installed, Variable
from blueprints.upstream.verify.lines import Line, compared, of_mtu, untold
from muslin.resources.ip_pool import EncapsulationMode, IPPool
from muslin.resources.places import FieldPath

__all__ = ["Node", "node_lines"]

_VXLAN: Final = section("VXLAN Configuration")
_MTU: Final = section("MTU Configuration")
_SEVERAL: Final = section("Multi-Subnet Configuration")
_NATIVE: Final = section("Native")
_POOLS: Final = {
    (EncapsulationMode.NEVER, EncapsulationMode.NEVER): section("Single Subnet Configuration"),
    (EncapsulationMode.CROSS_SUBNET, EncapsulationMode.NEVER): _SEVERAL,
    (EncapsulationMode.ALWAYS, EncapsulationMode.NEVER): section("Full IP-in-IP Configuration"),
}
_TUNNEL_MTUS: Final = (
    "FELIX_IPINIPMTU", "FELIX_VXLANMTU", "FELIX_VXLANMTUV6", "FELIX_WIREGUARDMTU", "FELIX_WIREGUARDMTUV6",
)  # fmt: skip
_UNSET: Final = {
    "BLOCK_SIZE": {4: "26", 6: "122"},
    "IPIP": {4: "Never"},
    "NAT_OUTGOING": {4: "true", 6: "false"},
    "NODE_SELECTOR": {4: "all()", 6: "all()"},
    "VXLAN": {4: "Never", 6: "Never"},
}
"""Mapping[end of a variable's name, {family: what calico-node does without it}]."""
_NEVER: Final = ("", "never", "off")


@dataclass(frozen=True, slots=True)
class Node:
    """The container calico-node, or that there is none; `variables` is None then."""

    daemon_set: Found | None
    container: FieldPath
    variables: Mapping[str, Variable] | None

    @classmethod
    def of(cls, installed: Installed, namespace: str) -> Node:
        """As it was read."""
        found = installed.find("DaemonSet", NODE, namespace)
        container = None if found is None else installed.container(found, NODE)
        if found is None or container is None:
            return cls(found, (), None)
        return cls(found, container, installed.variables(found, container))

    def variable(self, name: str) -> Variable | None:
        """A variable of it."""
        return None if self.variables is None else self.variables.get(name)

    def text(self, name: str, unset: str | None = None) -> str | None:
        """A variable's text; what counts where it is not set, None where there is no such container at all."""
        if self.variables is None:
            return None
        variable = self.variables.get(name)
        return unset if variable is None or variable.text is None else variable.text

    def place(self, *path: str | int) -> str:
        """Where a field of the container stands."""
        return "" if self.daemon_set is None else self.daemon_set.place(*self.container, *path)

    def place_of(self, name: str) -> str:
        """Where a variable stands, or would."""
        variable = self.variable(name)
        return self.place("env") if variable is None else variable.place


def node_lines(network: Network, node: Node) -> Iterator[Line]:
    """Every line about it."""
    yield from _probes(network, node)
    for pool in network.pools:
        if pool.metadata.name.startswith("default-"):
            yield from _pool(pool, node)
    yield from _tunnels(network, node)
    for name, expected in addresses(network).items():
        yield from _address(network, node, name, expected)
    if network.nftables:
        told, place = node.text("FELIX_NFTABLESMODE", "Auto"), node.place_of("FELIX_NFTABLESMODE")
        fix = f"set FELIX_NFTABLESMODE of {NODE} to Enabled: kube-proxy writes nftables"
        yield compared("FELIX_NFTABLESMODE", "Enabled", told, _NATIVE, fix=fix, place=place, same=_nftables)


def _probes(network: Network, node: Node) -> Iterator[Line]:
    """Felix is asked always, BIRD where it runs; newer versions of upstream ask by `--felix-live`."""
    for probe, wanted in probes(network.backend).items():
        found = None if node.daemon_set is None else node.daemon_set.at(*node.container, probe, "exec", "command")
        asked = [str(each).lstrip("-") for each in found] if isinstance(found, list) else None
        felix = next(each.lstrip("-") for each in wanted["exec"]["command"] if each.startswith("-felix"))
        bird = felix.replace("felix", "bird")
        runs = network.backend is Backend.BIRD
        for check, name, expected in (("Felix", felix, True), ("BIRD", bird, runs)):
            told = None if asked is None else _yes(name in asked)
            fix = f"{'ask' if expected else 'do not ask'} -{name} in the {probe} of {NODE}"
            yield compared(f"{probe} asks {check}", _yes(expected), told, _VXLAN, fix=fix, place=node.place(probe))


def _yes(given: bool) -> str:
    return "yes" if given else "no"


def _pool(pool: IPPool, node: Node) -> Iterator[Line]:
    spec = pool.spec
    source = _POOLS.get((spec.effective_ipip_mode, spec.effective_vxlan_mode), _VXLAN)
    if (node.text("NO_DEFAULT_POOLS") or "").lower() == "true":
        why, place = "NO_DEFAULT_POOLS: calico-node creates none", node.place_of("NO_DEFAULT_POOLS")
        fix = f"push the resource {pool.key} before nodes start"
        yield untold(f"{pool.metadata.name} at first start", str(spec.cidr), why, source, fix=fix, place=place)
        return
    for name, expected in environment(pool).items():
        unset = _UNSET.get(name.partition("POOL_")[2], {}).get(spec.cidr.version)
        if expected is None:
            text = node.text(name, "")
            told = "unset or Never" if text is not None and text.lower() in _NEVER else text
            fix = f"remove {name} from {NODE}: packets travel in VXLAN"
            yield compared(name, "unset or Never", told, source, fix=fix, place=node.place_of(name))
        else:
            fix = f"set {name} of {NODE} to {expected!r}: it creates the pool where it starts first"
            told, place = node.text(name, unset), node.place_of(name)
            yield compared(name, expected, told, source, fix=fix, place=place, same=_same_word)


def _same_word(expected: str, found: str) -> bool:
    """calico-node takes modes and truth in any case."""
    return expected.casefold() == found.casefold()


def _tunnels(network: Network, node: Node) -> Iterator[Line]:
    """A variable that is set hides what FelixConfiguration says, so it must say the same."""
    for name in _TUNNEL_MTUS:
        variable = node.variable(name)
        if variable is None or variable.text is None or variable.key == "veth_mtu":
            continue  # that key has a line of its own
        fix = f"let {name} of {NODE} come from key veth_mtu of {CONFIG}"
        told, place = variable.text, variable.place
        yield of_mtu(name, network.mtu, told, _MTU, one_mtu=network.one_mtu, fix=fix, place=place)


def _nftables(expected: str, found: str) -> bool:
    """`Auto` looks at what kube-proxy does."""
    return found.casefold() in (expected.casefold(), "auto")


def _address(network: Network, node: Node, name: str, expected: str) -> Iterator[Line]:
    """Where it is not said, calico-node takes its IPv4 address, no IPv6, and Felix both."""
    place, fix = node.place_of(name), f"set {name} of {NODE} to {expected}"
    if name == "FELIX_IPV6SUPPORT":
        if 6 in network.facts.families:
            told = node.text(name, "true")
            yield compared(name, expected, told, _VXLAN, fix=fix, place=place, same=_same_word)
    elif name.endswith("_METHOD"):
        told = node.text(name, "first-found")
        if told in ("", "first-found"):
            why = "the first interface that is found: a node with several may take another"
            yield untold(name, expected, why, _NATIVE, fix=fix, place=place)
        else:
            yield compared(name, expected, told, _NATIVE, fix=fix, place=place, same=_same_subnets)
    else:
        told = node.text(name, "autodetect" if name == "IP" else None)
        yield compared(name, expected, told or None, _NATIVE, fix=fix, place=place)


def _same_subnets(expected: str, found: str) -> bool:
    """The same prefixes in any order, or the address that Kubernetes knows the node by."""
    if found == "kubernetes-internal-ip":
        return True
    ours, theirs = expected.removeprefix("cidr="), found.removeprefix("cidr=")
    return found.startswith("cidr=") and {*ours.split(",")} == {each.strip() for each in theirs.split(",")}
