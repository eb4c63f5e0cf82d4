"""What sessions with switches carry and what protects them: next hops, GTSM, passwords, and no BFD."""

from __future__ import annotations

from blueprints.asking import Asked, Option
from blueprints.decision import Alternative, Decision, Outcome, section
from blueprints.musts import Must
from blueprints.switches import AUTO
from muslin.resources.keys import Key

__all__ = ["next_hop", "session_protection"]

_NO_BFD = (
    "there is no BFD: a switch that fails without a word is missed when the hold time ends; let its port go down, or "
    "peer with two switches of each rack"
)
_SOURCE = section("Node-Specific Route Reflection")


def _keys(asked: Asked) -> list[Key]:
    return [Key("BGPPeer", f"tor-{each.name}") for each in asked.facts.top_of_rack]


def next_hop(asked: Asked, *, alone: bool) -> Outcome:
    """Whether switches hear of each route from its own node, or of all from each.

    Args:
        asked: about which cluster; it names switches.
        alone: whether nodes learn each other's routes from switches only.
    """
    keep = Option(
        "Keep",
        "nodes know each other's routes from the mesh or from reflectors and pass them on to the switch: the next hop"
        " stays the node that has the pods, else packets would go through a third node",
        "nodes tell a switch nothing but their own routes, of which they are the next hop in any case",
        "switches must reach the nodes of all racks by themselves, for instance by connected or static routes",
        _SOURCE,
    )
    auto = Option(
        AUTO,
        "each node tells the switches its own routes alone, with itself as the next hop",
        "a switch would send packets for a pod through any node that has told it the route",
        "BIRD's own rule: itself as the next hop for peers of another AS",
        _SOURCE,
    )
    itself = Option(
        "Self",
        "wished so",
        "a node would take packets for pods of others"
        if not alone
        else "the same for own routes, and an obstacle if nodes reflect one day",
        "every node takes packets for all pods whose routes it passes on",
        _SOURCE,
    )
    options = [auto, keep, itself] if alone else [keep, auto, itself]
    fields = tuple((key, ("spec", "nextHopMode")) for key in _keys(asked))
    told = {"other ways that nodes learn routes": "none" if alone else "from each other"}
    return asked.choose("next hop", options, told, fields, must=Must.ROUTES_OVER_BGP)


def session_protection(asked: Asked) -> Outcome:
    """Who could speak in a switch's name, and how soon one is missed."""
    given = asked.facts.top_of_rack
    near = [each.name for each in given if each.next_to_nodes]
    far = [each.name for each in given if not each.next_to_nodes]
    open_ones = [each.name for each in given if each.password_secret is None]
    secrets = sorted({each.password_secret for each in given if each.password_secret is not None})
    answer = [f"GTSM for {_listed(near, far)}", f"passwords for {_listed(secrets and _closed(asked), open_ones)}"]
    told = [
        f"GTSM is off for {', '.join(far)}: say nextToNodes where no router stands between" if far else "",
        f"a password is missing for {', '.join(open_ones)}: name a Secret under passwordSecret" if open_ones else "",
        f"make the Secrets {', '.join(secrets)} (key password) in the namespace of the agents before you push, and let"
        " them read these; the switch needs the same password"
        if secrets
        else "",
        _NO_BFD,
    ]
    fields = [
        (key, ("spec", "ttlSecurity")) for key, each in zip(_keys(asked), given, strict=True) if each.next_to_nodes
    ]
    fields += [
        (key, ("spec", "password")) for key, each in zip(_keys(asked), given, strict=True) if each.password_secret
    ]
    return Decision(
        "switch sessions",
        "; ".join(answer),
        "who is not a hop away, or does not know the password, can't speak in a switch's name",
        {f"topOfRack.{each.name}": _known(near=each.next_to_nodes, secret=each.password_secret) for each in given},
        (
            Alternative("BFD", "neither agents of this version nor upstream's speak it"),
            Alternative("passwords in the file", "everybody who reads the repository would know them"),
        ),
        "; ".join(text for text in told if text),
        f"{_SOURCE}; RFC 5082, RFC 2385",
        tuple(fields),
    )


def _closed(asked: Asked) -> list[str]:
    return [each.name for each in asked.facts.top_of_rack if each.password_secret is not None]


def _listed(some: list[str], others: list[str]) -> str:
    return "none" if not some else "all" if not others else ", ".join(some)


def _known(*, near: bool, secret: str | None) -> str:
    return f"{'next to its nodes' if near else 'routers between'}, {f'Secret {secret}' if secret else 'no password'}"
