"""The reference architecture's musts over the objects of any Pulumi program: pure.

A program that does not use our components still writes Calico's objects; these rules hold there what a blueprint would
refuse. What follows from objects alone is judged from them; with facts, the blueprint itself is asked as well.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from blueprints import catalogue, draft
from blueprints.musts import Must
from muslin import resources
from muslin.errors import BadInput
from muslin.net import AsNumber, parse_prefix
from muslin.resources.keys import Key
from muslin.semantics.references import dangling, overlapping_pools

if TYPE_CHECKING:
    from blueprints.facts import Facts

__all__ = ["POLICIES", "Declared", "Policy", "Violation"]

_GROUP: Final = "projectcalico.org/v3"
_ID: Final = "projectcalico.org/RouteReflectorClusterID"
_AS: Final = "projectcalico.org/ASNumber"
_UNROUTABLE: Final = (
    ("127.0.0.0/8", "a machine's own addresses"), ("169.254.0.0/16", "addresses of one link"),
    ("172.17.0.0/16", "the bridge of Docker"), ("224.0.0.0/4", "multicast"), ("::1/128", "a machine's own address"),
    ("fe80::/10", "addresses of one link"), ("ff00::/8", "multicast"),
)  # fmt: skip
_RESERVED_AS: Final = {0: "RFC 7607", 23456: "RFC 6793", 65535: "RFC 7300", 4294967295: "RFC 7300"}


@dataclass(frozen=True, slots=True)
class Declared:
    """One Kubernetes object of a program.

    Attributes:
        urn: of its resource.
        value: the object as JSON.
        whole: whether the program says all of it; False for a Patch resource and where values are not known yet.
    """

    urn: str
    value: Mapping[str, Any]
    whole: bool = True

    @property
    def key(self) -> Key:
        """Its identity."""
        metadata = _mapping(self.value.get("metadata"))
        namespace = metadata.get("namespace")
        return Key(str(self.value.get("kind")), str(metadata.get("name")), str(namespace) if namespace else None)


@dataclass(frozen=True, slots=True)
class Violation:
    """What breaks a policy: at which resource, what, and what to do."""

    urn: str
    what: str
    fix: str

    def __str__(self) -> str:
        return f"{self.what}\n  fix: {self.fix}"


@dataclass(frozen=True, slots=True)
class Policy:
    """One rule.

    Attributes:
        name: as people configure it.
        sentence: what it says.
        judge: finds what breaks it in all objects of a program; facts where the pack was given some.
        mandatory: whether a violation stops the deployment; the others are for a person to look at.
        must: of the blueprints, where it is one.
    """

    name: str
    sentence: str
    judge: Callable[[Sequence[Declared], Facts | None], Iterator[Violation]]
    mandatory: bool = True
    must: Must | None = None


def _readable(declared: Sequence[Declared], facts: Facts | None) -> Iterator[Violation]:
    del facts
    for each in declared:
        if each.whole and each.value.get("apiVersion") == _GROUP:
            try:
                resources.load(_bare(each.value))
            except BadInput as error:
                for problem in error.problems:
                    yield Violation(each.urn, f"{each.key}: {problem.what} ({problem.where})", problem.fix)


def _pools_apart(declared: Sequence[Declared], facts: Facts | None) -> Iterator[Violation]:
    del facts
    by_key = _by_key(declared)
    for each in overlapping_pools({key: found.value for key, found in by_key.items()}):
        yield Violation(by_key[each.key].urn, f"{each.key}: {each.what}", "give each pool a range of its own")


def _references(declared: Sequence[Declared], facts: Facts | None) -> Iterator[Violation]:
    del facts
    by_key = _by_key(declared)
    for each in dangling({key: found.value for key, found in by_key.items()}):
        if " names Node " not in each.what:  # nodes are Kubernetes', not a program's
            yield Violation(by_key[each.key].urn, f"{each.key}: {each.what}", each.fix)


def _range_of_its_own(declared: Sequence[Declared], facts: Facts | None) -> Iterator[Violation]:
    del facts
    for each in _of(declared, "IPPool"):
        given = _spec(each).get("cidr")
        try:
            prefix = parse_prefix(str(given))
        except ValueError:
            continue  # told as unreadable
        for taken, whose in _UNROUTABLE:
            other = parse_prefix(taken)
            if other.version == prefix.version and prefix.overlaps(other):
                what = f"{each.key}: {prefix} overlaps {taken}: {whose}"
                yield Violation(each.urn, what, "give pods a private range such as 10.48.0.0/16")


def _as_number(declared: Sequence[Declared], facts: Facts | None) -> Iterator[Violation]:
    del facts
    for each in declared:
        annotations = _mapping(_mapping(each.value.get("metadata")).get("annotations"))
        given = (
            _spec(each).get("asNumber") if each.key.kind in ("BGPConfiguration", "BGPPeer") else annotations.get(_AS)
        )
        try:
            number = AsNumber(str(given))
        except ValueError:
            continue  # told as unreadable
        if number in _RESERVED_AS:
            what = f"{each.key}: AS number {number} is nobody's ({_RESERVED_AS[number]})"
            yield Violation(each.urn, what, "use a private one, 64512 to 65534, or the one that you were given")


def _two_reflectors(declared: Sequence[Declared], facts: Facts | None) -> Iterator[Violation]:
    del facts
    reflecting = _reflectors(declared)
    if len(reflecting) == 1:
        what = f"{reflecting[0].key} is the only route reflector: when it fails, no node learns a route"
        yield Violation(reflecting[0].urn, what, "give a second node a cluster ID and the label")


def _mesh_replaced(declared: Sequence[Declared], facts: Facts | None) -> Iterator[Violation]:
    del facts
    peers = _of(declared, "BGPPeer")
    for each in _of(declared, "BGPConfiguration"):
        if _spec(each).get("nodeToNodeMeshEnabled") is False and not peers and _bgp_needed(declared):
            what = f"{each.key}: the mesh is off, and the program declares no BGPPeer: nobody learns a route"
            yield Violation(each.urn, what, "declare the peers that replace it, and let this object wait for them")


def _routes_over_bgp(declared: Sequence[Declared], facts: Facts | None) -> Iterator[Violation]:
    del facts
    reflecting = _reflectors(declared)
    if reflecting and not _bgp_needed(declared):
        what = f"{reflecting[0].key} reflects routes, and all pools are of VXLAN, which needs none"
        yield Violation(reflecting[0].urn, what, "use pools that distribute routes over BGP, or no reflectors")


def _decidable(declared: Sequence[Declared], facts: Facts | None) -> Iterator[Violation]:
    if facts is None:
        return
    try:
        catalogue.decide(facts, None, "facts")
    except BadInput as refused:
        for problem in refused.problems:
            yield Violation(declared[0].urn if declared else "", f"{problem.what} ({problem.where})", problem.fix)


def _as_decided(declared: Sequence[Declared], facts: Facts | None) -> Iterator[Violation]:
    if facts is None:
        return
    try:
        named = facts.model_copy(update={"blueprint": facts.blueprint or draft.fitting(facts)})
        decided = {each.key: resources.dump(each) for each in catalogue.decide(named, None, "facts").resources}
    except BadInput:
        return  # told as undecidable
    for each in declared:
        wanted = decided.get(each.key)
        if wanted is None or not each.whole or each.key.kind == "Node":
            continue
        given, meant = _completed(each.value), _completed(wanted)
        differing = sorted(name for name in {*given, *meant} if given.get(name) != meant.get(name))
        if differing:
            what = f"{each.key} is not as the facts decide: {', '.join(f'spec.{name}' for name in differing)}"
            yield Violation(each.urn, what, "muslin explain tells why; a reason of yours belongs into an override")


POLICIES: Final = (
    Policy("readable", "Every object of projectcalico.org/v3 is one that Calico would take", _readable),
    Policy("pools-apart", "Pools have no common addresses", _pools_apart),
    Policy("range-of-its-own", Must.RANGE_OF_ITS_OWN.value, _range_of_its_own, must=Must.RANGE_OF_ITS_OWN),
    Policy("as-number", Must.AS_NUMBER_MAY_BE_USED.value, _as_number, must=Must.AS_NUMBER_MAY_BE_USED),
    Policy("two-reflectors", Must.TWO_REFLECTORS.value, _two_reflectors, must=Must.TWO_REFLECTORS),
    Policy("routes-over-bgp", Must.ROUTES_OVER_BGP.value, _routes_over_bgp, must=Must.ROUTES_OVER_BGP),
    Policy("mesh-replaced", "A mesh that is turned off is replaced by peers", _mesh_replaced),
    Policy("decidable", "The reference architecture says yes to the facts", _decidable),
    Policy("references", "What an object names is in the program", _references, mandatory=False),
    Policy("as-decided", "Objects are as the blueprint decides from the facts", _as_decided, mandatory=False),
)
"""All of them, in the order in which they are listed. The last two may have a good reason."""


def _of(declared: Sequence[Declared], kind: str) -> list[Declared]:
    return [each for each in declared if each.key.kind == kind and each.value.get("apiVersion") == _GROUP]


def _reflectors(declared: Sequence[Declared]) -> list[Declared]:
    """Nodes to which the program gives a cluster ID, in Kubernetes' way or in Calico's; each once."""
    found = {
        each.key: each
        for each in declared
        if each.key.kind == "Node"
        and (
            _ID in _mapping(_mapping(each.value.get("metadata")).get("annotations"))
            or _mapping(_spec(each).get("bgp")).get("routeReflectorClusterID")
        )
    }
    return list(found.values())


def _by_key(declared: Sequence[Declared]) -> dict[Key, Declared]:
    """Mapping[Key, object]: what one resource makes of it and others patch is one object, with the fields of all."""
    found: dict[Key, Declared] = {}
    for each in declared:
        former = found.setdefault(each.key, each)
        if former is not each:
            value = {**former.value, "spec": {**_spec(former), **_spec(each)}}
            found[each.key] = replace(former, value=value, whole=former.whole or each.whole)
    return found


def _bgp_needed(declared: Sequence[Declared]) -> bool:
    """Whether any pool needs routes; a program without pools is taken to need them."""
    pools = _of(declared, "IPPool")
    return not pools or any(_spec(each).get("vxlanMode", "Never") == "Never" for each in pools)


def _bare(value: Mapping[str, Any]) -> dict[str, Any]:
    """The object without what Pulumi's provider reads in annotations, which is no business of Calico's."""
    metadata = _mapping(value.get("metadata"))
    kept = {name: text for name, text in _mapping(metadata.get("annotations")).items() if "pulumi.com/" not in name}
    return {**value, "metadata": {**metadata, "annotations": kept}}


def _completed(value: Mapping[str, Any]) -> Mapping[str, Any]:
    """The spec with the defaults that Calico's API writes, which a cluster's object has and a program's has not."""
    metadata = _mapping(value.get("metadata"))
    named = {name: metadata[name] for name in ("name", "namespace") if name in metadata}
    bare = {**{name: value.get(name) for name in ("apiVersion", "kind", "spec")}, "metadata": named}
    try:
        return _mapping(resources.as_stored(resources.load(bare)).get("spec"))
    except BadInput:
        return _mapping(value.get("spec"))  # told as unreadable


def _spec(each: Declared) -> Mapping[str, Any]:
    return _mapping(each.value.get("spec"))


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
