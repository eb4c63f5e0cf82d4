"""How many bytes a pod may send at once: the smallest MTU on any path, less what the encapsulation adds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from blueprints.asking import Asked, overridden
from blueprints.decision import Alternative, Decision, Outcome, section
from blueprints.encapsulation import Mode, mode_named
from blueprints.musts import Must, refuse
from blueprints.packet_moves import which_pods_keep
from muslin.resources.keys import Key
from muslin.resources.places import FieldPath
from muslin.semantics.encapsulations import SMALLEST_USEFUL_MTU, Encapsulation, encapsulation_mtu

__all__ = ["FELIX", "felix_mtus", "mtu", "running_mtu"]

FELIX: Final = Key("FelixConfiguration", "default")

_SMALLEST_OF_IPV6: Final = 1280
"""RFC 8200 section 5: what every link must carry."""

_NO: Final = (Encapsulation.IPIP, 6)
"""What there is not: whoever says that it runs is told so."""

_FIELDS: Final[Mapping[tuple[Encapsulation, int], str]] = {
    (Encapsulation.IPIP, 4): "ipipMTU",
    (Encapsulation.VXLAN, 4): "vxlanMTU",
    (Encapsulation.VXLAN, 6): "vxlanMTUV6",
    (Encapsulation.WIREGUARD, 4): "wireguardMTU",
    (Encapsulation.WIREGUARD, 6): "wireguardMTUV6",
}


def mtu(asked: Asked, modes: Mapping[int, Mode]) -> Outcome:
    """The smallest MTU of any hop less the most expensive encapsulation; the same for every pod.

    Args:
        asked: about which cluster.
        modes: Mapping[IP version, its encapsulation].
    """
    hops = tuple(asked.facts.mtus())
    narrow, path = min(hops, key=lambda hop: hop[1])
    wrapped = _wrapped(asked, modes)
    kind, version = min(wrapped, key=lambda each: encapsulation_mtu(path, *each))
    inside = encapsulation_mtu(path, kind, version)
    overhead = path - inside
    least = _SMALLEST_OF_IPV6 if 6 in modes else SMALLEST_USEFUL_MTU
    where = asked.place("networkMTU") if asked.facts.network_mtu is not None else asked.place("subnets")
    if inside < least:
        return refuse(
            Must.ROOM_IN_A_PACKET,
            f"{kind.value} leaves {inside} of {path} bytes, less than {least}",
            where,
            f"raise the network's MTU to at least {least + overhead}",
        )
    named = kind.value if kind is Encapsulation.WIREGUARD else modes[version].value
    inputs = {name: str(value) for name, value in _told(hops, narrow)} | {"encapsulation": named}
    differ = len({value for _, value in hops}) > 1
    fields: tuple[tuple[Key, FieldPath], ...] = tuple(
        (FELIX, ("spec", _FIELDS[each])) for each in wrapped if each[0] is not Encapsulation.NONE
    )
    what = "the network's MTU" if not differ else f"the smallest MTU of any hop, {path} at {narrow},"
    decided = Decision(
        "MTU",
        str(inside),
        f"{what} less {overhead} bytes for {kind.value}"
        + ("" if version == 4 else " over IPv6" if kind is not Encapsulation.NONE else ""),
        inputs,
        (
            Alternative("smaller", "wastes room in every packet"),
            Alternative("larger", "packets between nodes would be dropped or cut into pieces"),
            *(
                (Alternative("as each node finds", "nodes see their own links, not the narrowest hop of the path"),)
                if differ
                else ()
            ),
        ),
        "only new pods get another MTU after a change"
        + _kept(asked, modes, inside)
        + (f"; tell the CNI plugin {inside} as well (`veth_mtu`, or `mtu` of the Installation)" if differ else ""),
        section("MTU Configuration"),
        fields,
    )
    return _with_override(asked, decided, inside, least)


def _wrapped(asked: Asked, modes: Mapping[int, Mode]) -> tuple[tuple[Encapsulation, int], ...]:
    """What packets of each family may be wrapped in, with the version of the outer header."""
    encrypted = tuple((Encapsulation.WIREGUARD, version) for version in modes) if asked.facts.wireguard else ()
    return (*((mode.encapsulation, version) for version, mode in modes.items()), *encrypted)


def _kept(asked: Asked, modes: Mapping[int, Mode], inside: int) -> str:
    """What stays as it was in a cluster that runs."""
    now = running_mtu(asked, modes)
    return "" if now is None or now == inside else f": {which_pods_keep(now, ())}"


def running_mtu(asked: Asked, modes: Mapping[int, Mode]) -> int | None:
    """What pods that run have, bytes: as stated, else as another encapsulation that runs has it; None if unknown.

    Args:
        asked: about which cluster.
        modes: Mapping[IP version, its encapsulation as decided].
    """
    running = asked.facts.running
    if running is None or running.mtu is not None:
        return None if running is None else running.mtu
    told = {asked.facts.first_family: running.encapsulation}
    told |= {each.cidr.version: each.encapsulation for each in reversed(running.pools)}
    named = {version: mode_named(text) for version, text in told.items() if text is not None and version in modes}
    known = {
        version: mode for version, mode in named.items() if mode is not None and (mode.encapsulation, version) != _NO
    }
    before = {**modes, **known}
    if before == modes or asked.override("MTU") is not None:
        return None
    path = min(value for _, value in asked.facts.mtus())
    return min(encapsulation_mtu(path, *each) for each in _wrapped(asked, before))


def _told(hops: tuple[tuple[str, int], ...], narrow: str) -> list[tuple[str, int]]:
    """Hops worth telling: those of the network, and the narrowest."""
    return [hop for hop in hops if not hop[0].startswith("interfaces of ") or hop[0] == narrow]


def _with_override(asked: Asked, decided: Decision, largest: int, least: int) -> Outcome:
    wanted = asked.override(decided.name)
    if wanted is None:
        return decided
    index, override = wanted
    where = asked.place("overrides", index, "chosen")
    if not override.chosen.isdecimal():
        return refuse(Must.OVERRIDE_KNOWN, f"{override.chosen!r} is no MTU", where, "give bytes, such as 1400")
    if not least <= int(override.chosen) <= largest:
        what = f"an MTU of {override.chosen} is not between {least} and {largest}, what the path carries"
        return refuse(Must.ROOM_IN_A_PACKET, what, where, f"{largest} at most")
    chosen = Decision(
        decided.name,
        str(int(override.chosen)),
        decided.rule,
        decided.inputs,
        decided.alternatives,
        decided.consequence,
        decided.source,
        decided.fields,
    )
    return overridden(chosen, decided.chosen, override)


def felix_mtus(asked: Asked, decided: int, modes: Mapping[int, Mode]) -> dict[str, int]:
    """Mapping[field of FelixConfiguration, bytes]: of every tunnel that is used, so that no agent guesses.

    Tunnels of both families get what was decided for the pods, for these have one MTU for both.
    """
    return {_FIELDS[each]: decided for each in _wrapped(asked, modes) if each[0] is not Encapsulation.NONE}
