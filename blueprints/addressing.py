"""Which addresses pods get, in blocks of which size, and what the outside sees of them."""

from __future__ import annotations

import re
from collections.abc import Iterator

from blueprints.asking import Asked, overridden
from blueprints.decision import Alternative, Decision, Outcome, section
from blueprints.facts import Facts
from blueprints.musts import Must, refuse
from blueprints.range_rules import others_addresses
from muslin.net import Prefix
from muslin.resources.keys import Key

__all__ = ["BLOCK_LENGTHS", "POOLS", "addressing", "block_size", "nat_outgoing", "pod_range", "pool_key"]

BLOCK_LENGTHS = {4: 26, 6: 122}
"""Mapping[IP version, length]: 64 addresses a block, what the architecture's pools have."""

POOLS = {4: Key("IPPool", "default-ipv4-ippool"), 6: Key("IPPool", "default-ipv6-ippool")}
"""Mapping[IP version, pool]: the names that Calico gives its own."""

_SOURCE = section("Single Subnet Configuration")
_SHORTEST, _LONGEST = 20, 32
_SMALL = 29
"""The longest blocks that anybody is advised to have: eight addresses."""
_USUAL_PODS = 110
"""Kubernetes' maxPods where nobody has set it."""


def pool_key(facts: Facts, version: int) -> Key:
    """The name of a family's pool: of the one that runs with this range, else Calico's, if no other pool has it.

    A pool's range can't be changed: another range is another pool, beside the one that goes.
    """
    wished = facts.pod_range_of(version)
    usual = POOLS[version]
    running = facts.running
    if running is None or wished is None:
        return usual
    taken = {each.name: each.cidr for each in running.pools}
    if not taken and running.pod_range is not None and running.pod_range.version == version:
        taken = {usual.name: running.pod_range}
    for name, cidr in taken.items():
        if cidr == wished:
            return Key("IPPool", name)
    if usual.name not in taken:
        return usual
    return Key("IPPool", "pods-" + re.sub(r"[^0-9a-f]+", "-", str(wished)))


def addressing(asked: Asked) -> None:
    """Ranges, blocks and outgoing NAT."""
    given = asked.facts.pod_range
    if given is not None and asked.add(pod_range(asked, given)) is not None:
        asked.add(block_size(asked, given))
    if asked.facts.pod_range_v6 is not None:
        asked.add(_range_v6(asked, asked.facts.pod_range_v6))
    asked.add(nat_outgoing(asked))


def pod_range(asked: Asked, given: Prefix) -> Outcome:
    """The range as given, if it is IPv4 and nobody else's."""
    facts = asked.facts
    where = asked.place("podRange")
    problems = [each for told in _unusable(given, facts) for each in refuse(Must.RANGE_OF_ITS_OWN, *_at(told, where))]
    if problems:
        return tuple(problems)
    return Decision(
        "pod range",
        str(given),
        "one pool for all pods of all nodes",
        {"podRange": str(given), "subnets": ", ".join(str(each) for each in facts.subnets)},
        (Alternative("several pools", "for pods that the network shall reach directly; adds routing models"),),
        "the range can't be changed later; it must not be used anywhere that pods want to reach",
        section("Routable Pod Network"),
        ((pool_key(facts, 4), ("spec", "cidr")), (pool_key(facts, 4), ("spec", "nodeSelector"))),
    )


def _at(told: tuple[str, str], where: str) -> tuple[str, str, str]:
    what, fix = told
    return what, where, fix


def _unusable(given: Prefix, facts: Facts) -> Iterator[tuple[str, str]]:
    """What speaks against the range, each with what to do."""
    if given.version != 4:
        fix = "give an IPv4 range such as 10.48.0.0/16; an IPv6 range is podRangeV6, alone or beside it"
        yield f"the pod range {given} is not IPv4", fix
        return
    for taken, whose in others_addresses(given):
        yield f"the pod range {given} overlaps {taken}, which is {whose}", "give a private range such as 10.48.0.0/16"
    others = [(each.cidr, "the nodes' subnet") for each in facts.subnets]
    others += [(each, "the service range") for each in facts.services]
    for each, whose in others:
        if each.version == given.version and given.overlaps(each):
            fix = "give pods a range that nothing else uses, such as 10.48.0.0/16"
            yield f"the pod range {given} overlaps {whose} {each}", fix


def _range_v6(asked: Asked, given: Prefix) -> Outcome:
    alone = asked.facts.families == (6,)
    blocks = _blocks(given, BLOCK_LENGTHS[6])
    if blocks < asked.facts.size:
        return refuse(
            Must.ROOM_FOR_ALL,
            f"the pod range {given} has {blocks} blocks of 64 addresses, too few for {asked.facts.size} nodes",
            asked.place("podRangeV6"),
            f"give a range of at least /{_needed(asked.facts.size, BLOCK_LENGTHS[6])}",
        )
    most = asked.facts.pods_per_node
    if most is not None and given.num_addresses < asked.facts.size * most:
        return refuse(
            Must.ROOM_FOR_ALL,
            f"the pod range {given} has {given.num_addresses} addresses, too few for {asked.facts.size} nodes"
            f" with {most} pods each",
            asked.place("podRangeV6"),
            f"give a range of at least /{128 - (asked.facts.size * most - 1).bit_length()}",
        )
    return Decision(
        "pod range IPv6",
        str(given),
        "one pool for the IPv6 addresses of all pods, in blocks of 64",
        {"podRangeV6": str(given)},
        (Alternative("both families" if alone else "IPv4 alone", "add podRange" if alone else "leave podRangeV6 out"),),
        f"every pod gets an address of {'IPv6 alone' if alone else 'both families'}; there are {_many(blocks)} blocks",
        section("Routable Pod Network"),
        ((pool_key(asked.facts, 6), ("spec", "cidr")),),
    )


def _many(blocks: int) -> str:
    """A number that people can read: of IPv6 there is mostly no end."""
    return str(blocks) if blocks < 1 << 20 else f"2^{blocks.bit_length() - 1}"


def _blocks(given: Prefix, length: int) -> int:
    return 0 if given.prefixlen > length else 1 << (length - given.prefixlen)


def _needed(blocks: int, length: int) -> int:
    return length - (blocks - 1).bit_length()


def block_size(asked: Asked, given: Prefix) -> Outcome:
    """/26, if the range has a block for every node that is planned and an address for every pod."""
    facts, length = asked.facts, BLOCK_LENGTHS[4]
    wanted = asked.override("block size")
    if wanted is not None:
        index, override = wanted
        text = override.chosen.removeprefix("/")
        if not text.isdecimal() or not _SHORTEST <= int(text) <= _LONGEST:
            where = asked.place("overrides", index, "chosen")
            return refuse(Must.OVERRIDE_KNOWN, f"{override.chosen!r} is no block size", where, "/20 to /32, as in /24")
        length = int(text)
    size = 1 << (32 - length)
    blocks = _blocks(given, length)
    most = facts.pods_per_node or _USUAL_PODS
    each = -(-most // size)
    addresses = given.num_addresses
    if blocks < facts.size:
        enough = given.prefixlen + (facts.size - 1).bit_length()
        smaller = f", or override the block size with /{enough}" if enough <= _SMALL else ""
        return refuse(
            Must.ROOM_FOR_ALL,
            f"the pod range {given} has {blocks} blocks of {size} addresses, too few for {facts.size} nodes",
            asked.place("podRange"),
            f"give a range of at least /{_needed(facts.size, length)}{smaller}",
        )
    if facts.pods_per_node is not None and addresses < facts.size * facts.pods_per_node:
        return refuse(
            Must.ROOM_FOR_ALL,
            f"the pod range {given} has {addresses} addresses, too few for {facts.size} nodes"
            f" with {facts.pods_per_node} pods each",
            asked.place("podRange"),
            f"give a range of at least /{32 - (facts.size * facts.pods_per_node - 1).bit_length()}",
        )
    largest = blocks // each
    borrowing = "" if largest >= facts.size else "; nodes borrow addresses of each other's blocks, one route for each"
    nodes = "node" if largest == 1 else "nodes"
    assumed = "" if facts.pods_per_node else ", as Kubernetes usually has"
    room = f": enough for {largest} {nodes} with {most} pods each{assumed}"
    inputs = {"podRange": str(given), "plannedNodes": str(facts.size)}
    if facts.pods_per_node is not None:
        inputs["podsPerNode"] = str(facts.pods_per_node)
    decided = Decision(
        "block size",
        f"/{length}",
        f"a node takes addresses in blocks of {size}: one route announces all of them",
        inputs,
        (
            Alternative("larger blocks", "a node with few pods would keep many addresses to itself"),
            Alternative("smaller blocks", "more routes for the same pods"),
        ),
        f"the range holds {blocks} blocks{room}{borrowing}; the size can't be changed while the pool exists",
        _SOURCE,
        ((pool_key(facts, 4), ("spec", "blockSize")),),
    )
    return decided if wanted is None else overridden(decided, f"/{BLOCK_LENGTHS[4]}", wanted[1])


def nat_outgoing(asked: Asked) -> Outcome:
    """As wished; on where nobody says otherwise."""
    fields = tuple((pool_key(asked.facts, version), ("spec", "natOutgoing")) for version in asked.facts.families)
    if asked.facts.nat_outgoing:
        return Decision(
            "outgoing NAT",
            "on",
            "pods' addresses mean nothing outside the cluster, so what leaves it carries the node's address",
            {"natOutgoing": "true"},
            (Alternative("off", "the network would need routes to the pod range to answer"),),
            "the outside sees nodes, not pods; between pods addresses stay as they are",
            _SOURCE,
            fields,
        )
    return Decision(
        "outgoing NAT",
        "off",
        "wished so: the network is to see pods' addresses",
        {"natOutgoing": "false"},
        (Alternative("on", "not wished"),),
        "pods reach the outside only if the network routes the pod range back to the nodes",
        section("Routable Pod and Service Networks"),
        fields,
    )
