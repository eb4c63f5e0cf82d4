"""What `muslin init` asks a person: one question a fact, with what is known or usual as the answer of Enter."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from ipaddress import ip_network
from typing import Any, Final

import click

from blueprints.fact_parts import DatastoreWish, Provider
from muslin.errors import BadInput, Problem
from muslin.net import AsNumber, parse_address, parse_prefix

__all__ = ["Questions"]

_BLOCKED: Final = {"bgp": "bgp", "ipip": "ipip", "vxlan": "vxlan", "pod-addresses": "podAddresses"}
"""Mapping[what a person writes, the fact]."""
_UNKNOWN: Final = "unknown"


class Questions:
    """What a person is asked, with what is known already as the default.

    Args:
        known: facts that need no question.
        ask: whether there is a person; without one the defaults are taken.
    """

    def __init__(self, known: Mapping[str, Any], *, ask: bool) -> None:
        self._known = known
        self._ask = ask

    def answers(self) -> dict[str, Any]:
        """Everything that a blueprint needs, and what it would otherwise assume."""
        known, told = self._known, dict[str, Any]()
        told["name"] = known.get("name") or self._text("Name of the cluster", "example")
        nodes = known.get("nodes") or self._nodes()
        if not nodes:
            raise BadInput(
                Problem(
                    "no nodes are known",
                    "nodes",
                    "leave --defaults out, or take a cluster that has nodes (--from-cluster)",
                )
            )
        told["nodes"] = nodes
        told["subnets"] = list(known.get("subnets") or ()) or self._list(
            "Subnets of the nodes", _subnets(nodes), _prefix
        )
        told["networkMTU"] = int(self._text("MTU of the links between them", "1500", _whole(576, 65535)))
        told["provider"] = known.get("provider") or self._text("Provider", Provider.OTHER.value, _one_of(Provider))
        told["plannedNodes"] = int(self._text("How many nodes it may grow to", str(len(nodes)), _whole(1, 100_000)))
        told |= self._ranges(nodes)
        told["subnets"] += self._other_family({**known, **told}, nodes)
        return told | self._network() | self._datastore() | self._outside()

    def _ranges(self, nodes: list[dict[str, Any]]) -> dict[str, Any]:
        known, told = self._known, dict[str, Any]()
        families = {parse_address(each[field]).version for each in nodes for field in _ADDRESSES if field in each}
        if not ("podRange" in known or "podRangeV6" in known):
            usual = ["10.48.0.0/16"] if 4 in families else ["2001:db8:48::/48"]
            told |= {_RANGE[parse_prefix(each).version]: each for each in self._list("Ranges for pods", usual, _prefix)}
        if self._ask and not known.get("podsPerNode"):
            told["podsPerNode"] = int(self._text("How many pods a node may carry", "110", _whole(1, 65_536)))
        if self._ask and not known.get("serviceRanges"):
            given = self._list("Ranges of services", ["10.96.0.0/12"] if 4 in families else [], _prefix)
            told |= {"serviceRanges": given} if given else {}
        return told

    def _other_family(self, told: Mapping[str, Any], nodes: list[dict[str, Any]]) -> list[str]:
        """Subnets of a family that pods have addresses of, and that no source has told."""
        families = [version for version, field in _RANGE.items() if field in told]
        known = {parse_prefix(each).version for each in told["subnets"]}
        missing = [each for each in _subnets(nodes) if parse_prefix(each).version in set(families) - known]
        return self._list("Subnets of the nodes in the other family", missing, _prefix) if missing else []

    def _network(self) -> dict[str, Any]:
        """What does not pass between nodes; nothing where nobody knows, so that the provider's usual is assumed."""
        if not self._ask or self._known.get("network"):
            return {}
        listed = ", ".join(_BLOCKED)
        blocked = self._list(f"What is blocked between nodes ({listed}; nothing if unknown)", [], _one_among(_BLOCKED))
        found: dict[str, bool] = {_BLOCKED[each]: False for each in blocked}
        question = "Does the network drop packets whose addresses are not the machine's (yes, no, unknown)"
        checks = self._text(question, _UNKNOWN, _one_among({"yes": "", "no": "", _UNKNOWN: ""}))
        if checks != _UNKNOWN:
            found["sourceDestinationChecks"] = checks == "yes"
        return {"network": found} if found else {}

    def _datastore(self) -> dict[str, Any]:
        usual = DatastoreWish.KUBERNETES.value
        if self._known.get("datastore"):
            return {}
        chosen = self._text("Datastore (kubernetes, etcd, embedded)", usual, _one_of(DatastoreWish))
        if chosen != DatastoreWish.ETCD.value:
            return {} if chosen == usual else {"datastore": chosen}
        own = self._text("Is it the etcd of Kubernetes itself (yes, no)", "no", _YES_OR_NO)
        urls = self._list("Its URLs, such as https://192.0.2.10:2379", [], str)
        return {"datastore": chosen, "etcdIsTheClusters": own == "yes", **({"etcdEndpoints": urls} if urls else {})}

    def _outside(self) -> dict[str, Any]:
        """Who speaks BGP with the nodes, and what the outside reaches; nothing where a cluster has told it."""
        if not self._ask or self._known.get("running"):
            return {}
        told: dict[str, Any] = {}
        number = self._text("AS number that the network's owner gave (nothing if none)", "", _if_any(_as_number))
        told |= {"asNumber": int(AsNumber(number))} if number else {}
        question = "Switches that speak BGP with nodes, each as NAME ADDRESS AS RACK"
        switches = [each.split() for each in self._list(question, [], _words(4))]
        told |= {"topOfRack": [_switch(*each) for each in switches]} if switches else {}
        question = "Route reflectors outside of the cluster, each as NAME ADDRESS"
        reflectors = [each.split() for each in self._list(question, [], _words(2))]
        told |= {"externalReflectors": [_named(*each) for each in reflectors]} if reflectors else {}
        if not switches:
            return told
        pods = self._text("Range of pods that the outside reaches (nothing if none)", "", _if_any(_prefix))
        services = self._text("Does the outside reach services by their own address (yes, no)", "no", _YES_OR_NO)
        routable = {**({"pods": pods} if pods else {}), **({"clusterIPs": True} if services == "yes" else {})}
        return told | ({"routable": routable} if routable else {})

    def _text(self, question: str, default: str, check: Callable[[str], str] = str) -> str:
        if not self._ask:
            return default

        def checked(text: str) -> str:
            try:
                return check(text.strip())
            except ValueError as error:
                raise click.BadParameter(str(error)) from None

        shown = bool(default)
        answer: str = click.prompt(question, default=default, show_default=shown, value_proc=checked, err=True)
        return answer

    def _list(self, question: str, default: list[str], check: Callable[[str], str]) -> list[str]:
        def all_of(text: str) -> str:
            return ", ".join(check(each.strip()) for each in text.split(",") if each.strip())

        answer = self._text(f"{question}, with commas between", ", ".join(default), all_of)
        return answer.split(", ") if answer else []

    def _nodes(self) -> list[dict[str, str]]:
        if not self._ask:
            return []
        click.echo("The nodes, one a line as NAME ADDRESS, or NAME ADDRESS RACK; an empty line ends them.", err=True)
        nodes: list[dict[str, str]] = []
        while True:
            line: str = click.prompt(f"Node {len(nodes) + 1}", default="", show_default=False, err=True)
            words = line.split()
            if not words:
                return nodes
            try:
                nodes.append(_node(*words))
            except ValueError as error:
                click.echo(f"Error: {error}; write NAME ADDRESS, such as node-a 192.0.2.1", err=True)


_ADDRESSES: Final = ("address", "addressV6")
_RANGE: Final = {4: "podRange", 6: "podRangeV6"}


def _node(name: str, *more: str) -> dict[str, str]:
    if not 1 <= len(more) <= 2:
        raise ValueError(f"{name} has {len(more)} words behind it")
    return {"name": name, "address": str(parse_address(more[0])), **({"rack": more[1]} if len(more) == 2 else {})}


def _named(name: str, address: str) -> dict[str, str]:
    return {"name": name, "address": str(parse_address(address))}


def _switch(name: str, address: str, number: str, rack: str) -> dict[str, Any]:
    return {**_named(name, address), "asNumber": int(AsNumber(number)), "racks": [rack]}


def _words(count: int) -> Callable[[str], str]:
    """Entries of so many words, the second of them an address and the third an AS number."""

    def check(text: str) -> str:
        words = text.split()
        if len(words) != count:
            raise ValueError(f"{text!r} has {len(words)} words, not {count}")
        parse_address(words[1])
        if count > 2:
            AsNumber(words[2])
        return " ".join(words)

    return check


def _as_number(text: str) -> str:
    return str(AsNumber(text))


def _if_any(check: Callable[[str], str]) -> Callable[[str], str]:
    return lambda text: check(text) if text else ""


def _subnets(nodes: list[dict[str, Any]]) -> list[str]:
    """A guess: a /24 around each IPv4 address, a /64 around each of IPv6."""
    addresses = [parse_address(each[field]) for each in nodes for field in _ADDRESSES if field in each]
    lengths = {4: 24, 6: 64}
    return list(dict.fromkeys(str(ip_network(f"{each}/{lengths[each.version]}", strict=False)) for each in addresses))


def _prefix(text: str) -> str:
    return str(parse_prefix(text))


def _whole(least: int, most: int) -> Callable[[str], str]:
    def check(text: str) -> str:
        if not text.isdecimal() or not least <= int(text) <= most:
            raise ValueError(f"{text!r} is not a whole number from {least} to {most}")
        return text

    return check


def _one_of(kind: type[Provider | DatastoreWish]) -> Callable[[str], str]:
    return _one_among({each.value: "" for each in kind})


def _one_among(known: Mapping[str, str]) -> Callable[[str], str]:
    def check(text: str) -> str:
        if text not in known:
            raise ValueError(f"{text!r} is none of {', '.join(known)}")
        return text

    return check


_YES_OR_NO: Final = _one_among({"yes": "", "no": ""})
