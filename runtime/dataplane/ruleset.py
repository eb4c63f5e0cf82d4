"""The packet filter a node must have, computed from its state; pure.

Two base chains in the forward path: what a workload sends is judged first, what a workload gets second; a packet
from one pod of the node to another is judged by both. `accept` in the first leads to the second. Each looks the
interface up once, in a verdict map; endpoints with the same policies share a chain, named by its content. An
interface named like a workload's that is not in the map gets and sends nothing.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Iterable, Iterator
from ipaddress import IPv6Network
from typing import Final

from muslin.net import Prefix
from runtime.calc.state import Action, Endpoint, NodeState, PolicyId, TierPolicies
from runtime.dataplane.fold import fold
from runtime.dataplane.ir import (
    Chain,
    Field,
    Hook,
    Is,
    KeyType,
    Lookup,
    Masked,
    Masquerade,
    NamedSet,
    Rule,
    Ruleset,
    SetMark,
    Term,
    Verdict,
    VerdictKind,
    VerdictMap,
    VmapLookup,
    interface_key,
)
from runtime.dataplane.ownership import INTERFACE_PREFIX, PASS_MARK, ChainPrefix, FixedChain, FixedSet
from runtime.dataplane.rules import SetBook, merge, render

__all__ = ["compile_ruleset", "policy_chain_name"]

ESTABLISHED, RELATED, NEW, INVALID = 0x2, 0x4, 0x8, 0x1
"""Bits of `ct state` (linux/netfilter/nf_conntrack_common.h)."""
_ACCEPT: Final = Verdict(VerdictKind.ACCEPT)
_DROP: Final = Verdict(VerdictKind.DROP)
_RETURN: Final = Verdict(VerdictKind.RETURN)
_FROM_WORKLOAD: Final = Is(Field.INPUT_INTERFACE, INTERFACE_PREFIX.encode())
_TO_WORKLOAD: Final = Is(Field.OUTPUT_INTERFACE, INTERFACE_PREFIX.encode())
_V4, _V6 = Is(Field.FAMILY, b"\x02"), Is(Field.FAMILY, b"\x0a")
_ICMP6: Final = Is(Field.PROTOCOL, b"\x3a")
_TCP: Final = Is(Field.PROTOCOL, b"\x06")
_NOT_ONLY_SYN: Final = Masked(Field.TCP_FLAGS, b"\x17", b"\x02", negated=True)
"""Of FIN, SYN, RST and ACK not SYN alone: no beginning of a TCP connection."""
_UDP: Final = Is(Field.PROTOCOL, b"\x11")
_IPIP: Final = Is(Field.PROTOCOL, b"\x04")
_VXLAN: Final = Is(Field.DESTINATION_PORT, (4789).to_bytes(2, "big"))
_NEIGHBOUR_TYPES: Final = (133, 135, 136)
"""Router solicitation, neighbour solicitation and advertisement; never 134, an advertisement of a router."""
_TO_HOST_TYPES: Final = (130, 131, 132, 133, 135, 136)
"""ICMPv6 that a host needs from a workload whatever policy says. Source: Felix's cali-wl-to-host."""
_LONGEST_NAME: Final = 200  # the kernel's limit is 255 octets


def _state(bits: int) -> Masked:
    return Masked(Field.CONNECTION, bits.to_bytes(4, "little"), bytes(4), negated=True)


def compile_ruleset(state: NodeState) -> Ruleset:
    """The whole table for a state. An empty state gives the closed baseline: no workload gets or sends anything."""
    book = SetBook(state.sets)
    chains: dict[str, Chain] = {chain.name: chain for chain in _base_chains(state.endpoint_to_host)}
    senders: dict[bytes, Verdict] = {}
    receivers: dict[bytes, Verdict] = {}
    named: dict[tuple[PolicyId, bool], Chain] = {}
    shared: dict[tuple[tuple[TierPolicies, ...], tuple[PolicyId, ...], bool], Chain] = {}
    for endpoint in state.endpoints.values():
        key = interface_key(endpoint.interface)
        if not endpoint.admin_up:
            senders[key] = receivers[key] = _DROP
            continue
        for ingress, verdicts in ((False, senders), (True, receivers)):
            same = (endpoint.tiers, endpoint.profiles, ingress)
            chain = shared.get(same)
            if chain is None:
                chain = shared[same] = _endpoint_chain(endpoint, state, book, named, ingress=ingress)
                chains[chain.name] = chain
            verdicts[key] = Verdict(VerdictKind.GOTO, chain.name)
    chains |= {chain.name: chain for chain in named.values()}
    sets = {item.name: item for item in _fixed_sets(state)} | book.sets
    interface = (KeyType.INTERFACE,)
    maps = {
        FixedSet.FROM_DISPATCH.value: VerdictMap(FixedSet.FROM_DISPATCH.value, interface, senders),
        FixedSet.TO_DISPATCH.value: VerdictMap(FixedSet.TO_DISPATCH.value, interface, receivers),
    }
    return Ruleset(sets, maps, chains)


@functools.cache
def _base_chains(to_host: Action) -> tuple[Chain, ...]:
    return tuple(_made_base_chains(to_host))


def _made_base_chains(to_host: Action) -> Iterator[Chain]:
    established = Rule((_state(ESTABLISHED | RELATED), _ACCEPT))
    interface_source_4 = (Field.INPUT_INTERFACE, Field.SOURCE_4)
    interface_source_6 = (Field.INPUT_INTERFACE, Field.SOURCE_6)
    link_local = Masked(Field.SOURCE_6, IPv6Network("fe80::/10").netmask.packed, IPv6Network("fe80::/10")[0].packed)
    unspecified = Is(Field.SOURCE_6, bytes(16))
    yield _base(
        FixedChain.SOURCE_CHECK,
        Hook("filter", 0, -300),
        Rule((_FROM_WORKLOAD._replace(negated=True), _RETURN)),
        Rule((_V4, Lookup(interface_source_4, FixedSet.SOURCES_4.value), _ACCEPT)),
        Rule((_V6, Lookup(interface_source_6, FixedSet.SOURCES_6.value), _ACCEPT)),
        *(
            Rule((_V6, _ICMP6, Is(Field.ICMP_TYPE, bytes((kind,))), source, _ACCEPT))
            for kind in _NEIGHBOUR_TYPES
            for source in (link_local, unspecified)
        ),
        Rule((_DROP,)),
    )
    # Else conntrack takes the answer in a flow that policy ended for the beginning of one the other way round.
    no_beginning = (_TCP, _state(NEW), _NOT_ONLY_SYN, _DROP)
    sent_by_workload = (
        established,
        Rule((_FROM_WORKLOAD, _state(INVALID), _DROP)),
        Rule((_FROM_WORKLOAD, *no_beginning)),
        Rule((_FROM_WORKLOAD, _IPIP, _DROP)),
        Rule((_FROM_WORKLOAD, _UDP, _VXLAN, _DROP)),
    )
    dispatch_from = Rule((VmapLookup((Field.INPUT_INTERFACE,), FixedSet.FROM_DISPATCH.value),))
    drop_unknown = Rule((_FROM_WORKLOAD, _DROP))
    yield _base(FixedChain.FROM_WORKLOAD, Hook("filter", 2, 0), *sent_by_workload, dispatch_from, drop_unknown)
    yield _base(
        FixedChain.TO_WORKLOAD,
        Hook("filter", 2, 1),
        established,
        Rule((_TO_WORKLOAD, _state(INVALID), _DROP)),
        Rule((_TO_WORKLOAD, *no_beginning)),
        Rule((VmapLookup((Field.OUTPUT_INTERFACE,), FixedSet.TO_DISPATCH.value),)),
        Rule((_TO_WORKLOAD, _DROP)),
    )
    # Denied to the host means denied whatever egress policy says, so policy need not be asked.
    ask_policy = () if to_host is Action.DENY else (dispatch_from,)
    yield _base(
        FixedChain.TO_HOST,
        Hook("filter", 1, 0),
        *sent_by_workload,
        *(Rule((_FROM_WORKLOAD, _V6, _ICMP6, Is(Field.ICMP_TYPE, bytes((kind,))), _ACCEPT)) for kind in _TO_HOST_TYPES),
        *ask_policy,
        drop_unknown,
    )
    yield _base(FixedChain.FROM_HOST, Hook("filter", 3, 0), Rule((_TO_WORKLOAD, *no_beginning)))
    pools = (
        (_V4, Field.SOURCE_4, Field.DESTINATION_4, FixedSet.NAT_POOLS_4, FixedSet.ALL_POOLS_4),
        (_V6, Field.SOURCE_6, Field.DESTINATION_6, FixedSet.NAT_POOLS_6, FixedSet.ALL_POOLS_6),
    )
    # After kube-proxy's own (100), as Felix does: its masquerade mark must have been looked at.
    yield _base(
        FixedChain.MASQUERADE,
        Hook("nat", 4, 110),
        *(
            Rule((family, Lookup((source,), nat.value), Lookup((to,), pool.value, negated=True), Masquerade()))
            for family, source, to, nat, pool in pools
        ),
    )


def _base(name: FixedChain, hook: Hook, *rules: Rule) -> Chain:
    return Chain(name.value, rules, hook)


def _endpoint_chain(
    endpoint: Endpoint, state: NodeState, book: SetBook, named: dict[tuple[PolicyId, bool], Chain], *, ingress: bool
) -> Chain:
    """Tiers, then profiles, then drop; policies are jumped to. Mark handling only where a policy can pass."""
    rules: list[Rule] = []
    for tier in endpoint.tiers:
        policies = tier.ingress if ingress else tier.egress
        if not policies:
            continue
        passes = [_passes(policy, state, ingress=ingress) for policy in policies]
        if any(passes):  # an earlier tier or another program may have left the mark set
            rules.append(Rule((SetMark(0xFFFFFFFF & ~PASS_MARK, 0),)))
        marked = False  # whether the pass mark may stand in the packet here
        for policy, may_pass in zip(policies, passes, strict=True):
            chain = _policy_chain(policy, state, book, named, ingress=ingress, profile=False)
            rules.append(Rule((*_unless_passed(marked=marked), Verdict(VerdictKind.JUMP, chain))))
            marked |= may_pass
        if tier.default_action is Action.DENY:
            rules.append(Rule((*_unless_passed(marked=marked), _DROP)))
    for profile in endpoint.profiles:
        if profile not in state.policies:
            break  # a profile that nobody wrote denies, and so does the end of this chain
        chain = _policy_chain(profile, state, book, named, ingress=ingress, profile=True)
        rules.append(Rule((Verdict(VerdictKind.JUMP, chain),)))
    rules.append(Rule((_DROP,)))
    digest = hashlib.sha256(repr(rules).encode()).hexdigest()[:16]
    prefix = ChainPrefix.TO_ENDPOINT if ingress else ChainPrefix.FROM_ENDPOINT
    return Chain(f"{prefix}{digest}", tuple(rules))


def _unless_passed(*, marked: bool) -> tuple[Term, ...]:
    mark = PASS_MARK.to_bytes(4, "little")
    return (Masked(Field.MARK, mark, bytes(4)),) if marked else ()


def _passes(policy: PolicyId, state: NodeState, *, ingress: bool) -> bool:
    found = state.policies.get(policy)
    rules = () if found is None else found.ingress if ingress else found.egress
    return any(rule.action is Action.PASS for rule in rules)


def _policy_chain(
    policy: PolicyId, state: NodeState, book: SetBook, named: dict[tuple[PolicyId, bool], Chain], *,
    ingress: bool, profile: bool,
) -> str:  # fmt: skip
    known = named.get((policy, ingress))
    if known is not None:
        return known.name
    name = policy_chain_name(policy, ingress=ingress)
    found = state.policies.get(policy)
    if found is None:  # named by an endpoint and not there: deny rather than let through
        rules: tuple[Rule, ...] = (Rule((_DROP,)),)
    else:
        wanted = found.ingress if ingress else found.egress
        rules = tuple(made for rule in fold(wanted) for made in render(rule, book, profile=profile))
    named[policy, ingress] = Chain(name, rules)
    return name


_KINDS: Final = {
    "NetworkPolicy": "np", "GlobalNetworkPolicy": "gnp", "Profile": "profile", "KubernetesNetworkPolicy": "knp",
    "KubernetesClusterNetworkPolicy": "kcnp",
}  # fmt: skip


def policy_chain_name(policy: PolicyId, *, ingress: bool) -> str:
    """Name of a policy's chain, readable in `nft list`; over-long ones end in a hash."""
    prefix = ChainPrefix.POLICY_INGRESS if ingress else ChainPrefix.POLICY_EGRESS
    parts = (_KINDS.get(policy.kind, policy.kind), *((policy.namespace,) if policy.namespace else ()), policy.name)
    name = prefix + "/".join(parts)
    if len(name) <= _LONGEST_NAME:
        return name
    return f"{name[: _LONGEST_NAME - 17]}_{hashlib.sha256(name.encode()).hexdigest()[:16]}"


def _fixed_sets(state: NodeState) -> Iterator[NamedSet]:
    up = [endpoint for endpoint in state.endpoints.values() if endpoint.admin_up]
    for version, name, kind in (
        (4, FixedSet.SOURCES_4, KeyType.ADDRESS_4),
        (6, FixedSet.SOURCES_6, KeyType.ADDRESS_6),
    ):
        keys = frozenset(
            interface_key(endpoint.interface) + address.packed
            for endpoint in up
            for address in endpoint.addresses
            if address.version == version
        )
        yield NamedSet(name.value, (KeyType.INTERFACE, kind), keys)
    for version, nat, every, kind in (
        (4, FixedSet.NAT_POOLS_4, FixedSet.ALL_POOLS_4, KeyType.ADDRESS_4),
        (6, FixedSet.NAT_POOLS_6, FixedSet.ALL_POOLS_6, KeyType.ADDRESS_6),
    ):
        for name, pools in ((nat, state.nat_pools), (every, state.all_pools)):
            yield NamedSet(name.value, (kind,), intervals=_intervals(pools, version))


def _intervals(pools: Iterable[Prefix], version: int) -> frozenset[tuple[bytes, bytes]]:
    merged = merge(item for item in pools if item.version == version)
    return frozenset((item.network_address.packed, item.broadcast_address.packed) for item in merged)
