"""Probes as people declare them: who must reach what, or must not. Read from files; pure.

A probe is data that no datastore keeps: it stands beside what it guards, and is asked while a commit is on trial.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, ClassVar, Final, Literal

from pydantic import Field, ValidationError

from muslin.errors import BadInput, Problem
from muslin.net import Address
from muslin.resources.base import SUBDOMAIN_NAME
from muslin.resources.fields import AddressField, DurationField, Int, SelectorText, Text
from muslin.resources.part import Part
from muslin.resources.places import Places, place_of
from muslin.resources.problems import problems_of
from muslin.resources.validation import Breach, ValidationRule, go
from muslin.semantics.reserved import is_host

__all__ = [
    "API_VERSION", "KIND", "LONGEST_S", "MOST_PROBES", "Expect", "Pods", "Probe", "Traffic", "is_probe", "probe_of",
    "too_many",
]  # fmt: skip

API_VERSION: Final = "reconciler.muslin/v1alpha1"
KIND: Final = "Probe"
MOST_PROBES: Final = 32
"""Of one set, whatever its operator allows."""
LONGEST_S: Final = 3.0
"""One attempt waits no longer for an answer."""
_SHORTEST_S: Final = 0.05
_LONGEST_NAME: Final = 63
_FIX: Final = "give an address such as 192.0.2.10, or pods with namespace and pod, or with selector"


class Traffic(StrEnum):
    """What is sent: TCP wants a connection, UDP an answer to an empty datagram, ICMP an echo."""

    TCP = "TCP"
    UDP = "UDP"
    ICMP = "ICMP"


class Expect(StrEnum):
    """What must be the case."""

    REACHABLE = "Reachable"
    UNREACHABLE = "Unreachable"


@dataclass(frozen=True, slots=True)
class Pods:
    """One pod by its name, or pods by their labels as policies see them, in one namespace or in all."""

    namespace: str | None = None
    pod: str | None = None
    selector: str | None = None

    def __str__(self) -> str:
        if self.pod is not None:
            return f"{self.namespace}/{self.pod}"
        return f"pods {self.selector!r}" + (f" in {self.namespace}" if self.namespace else "")


@dataclass(frozen=True, slots=True)
class Probe:
    """One probe. `count`: of its pairs of a pod and a target so many must be as expected, None for all of them."""

    name: str
    source: Pods
    target: Pods | Address
    traffic: Traffic = Traffic.TCP
    port: int | None = None
    expect: Expect = Expect.REACHABLE
    timeout_s: float = 1.0
    count: int | None = None
    place: str = ""

    def __str__(self) -> str:
        """As people say it."""
        port = "" if self.port is None else f" {self.port}"
        must = "reach" if self.expect is Expect.REACHABLE else "not reach"
        return f"{self.name}: {self.source} must {must} {self.target} over {self.traffic}{port}"


class ProbeName(Part):
    """The name of a declared probe."""

    name: Text = Field(description="Name of the probe, by which it is told.")

    RULES: ClassVar[tuple[ValidationRule, ...]] = (
        go(
            "name", "names have a form",
            lambda given: () if SUBDOMAIN_NAME.allows(given.name) and len(given.name) <= _LONGEST_NAME
            else (Breach(f"{given.name[:_LONGEST_NAME + 1]!r} can't be a probe's name", ("name",)),),
            fix="use lower case letters, digits, '-' and '.', 63 at most",
        ),
    )  # fmt: skip


class ProbePods(Part):
    """Pods, as a probe names them."""

    namespace: Text | None = Field(default=None, description="Namespace of the pods; with selector, all if not given.")
    pod: Text | None = Field(default=None, description="A pod by its name.")
    selector: SelectorText | None = Field(default=None, description="Pods by their labels, as policies select them.")

    RULES: ClassVar[tuple[ValidationRule, ...]] = (
        go("pods", "pods are named, or selected", lambda given: _bad_pods(given), fix=_FIX),  # noqa: PLW0108 - below
    )


class ProbeTarget(ProbePods):
    """Who is asked: an address, or pods."""

    address: AddressField | None = Field(default=None, description="A plain address.")


class ProbeSpec(Part):
    """What a probe declares."""

    from_: ProbePods = Field(description="Who asks.")
    to: ProbeTarget = Field(description="Who is asked.")
    protocol: Traffic = Field(default=Traffic.TCP, description="TCP, UDP or ICMP.")
    port: Int | None = Field(default=None, ge=1, le=65535, description="Of TCP and UDP.")
    expect: Expect = Field(default=Expect.REACHABLE, description="Reachable, or Unreachable.")
    timeout: DurationField | None = Field(default=None, description="How long one attempt waits; 1s.")
    count: Int | None = Field(default=None, ge=1, description="So many must be as expected; all if not given.")

    RULES: ClassVar[tuple[ValidationRule, ...]] = (
        go("ports", "TCP and UDP have ports", lambda given: _bad_ports(given), fix="say port: 443"),  # noqa: PLW0108
        go("timeout", "attempts are short", lambda given: _bad_timeout(given), fix="say timeout: 1s"),  # noqa: PLW0108
    )


class ProbeDocument(Part):
    """A document that declares a probe."""

    api_version: Literal["reconciler.muslin/v1alpha1"] = Field(description="Version of this form.")
    kind: Literal["Probe"] = Field(description="What is described.")
    metadata: ProbeName = Field(description="Its name.")
    spec: ProbeSpec = Field(description="What must be the case.")


def _bad_pods(given: ProbePods) -> Iterator[Breach]:
    address = getattr(given, "address", None)
    if address is not None:
        if given.pod is not None or given.selector is not None or given.namespace is not None:
            yield Breach("it names an address, and pods", ("address",), "keep one of them")
        if not is_host(address):
            fix = "give the address of one host beyond the node"
            yield Breach(f"{address} is no address that a probe may ask for", ("address",), fix)
    elif (given.pod is None) is (given.selector is None):
        yield Breach("it must name either a pod or a selector", ())
    elif given.pod is not None and not given.namespace:
        yield Breach("a pod is named without its namespace", ("pod",), "set namespace")


def _bad_ports(given: ProbeSpec) -> Iterator[Breach]:
    if given.protocol is Traffic.ICMP and given.port is not None:
        yield Breach("ICMP has no ports", ("port",), "leave it out")
    if given.protocol is not Traffic.ICMP and given.port is None:
        yield Breach(f"{given.protocol} needs a port", ())


def _bad_timeout(given: ProbeSpec) -> Iterator[Breach]:
    if given.timeout is not None and not _SHORTEST_S <= given.timeout.seconds <= LONGEST_S:
        yield Breach(f"{given.timeout} is not between 50ms and 3s", ("timeout",))


def is_probe(value: Any) -> bool:
    """Whether a document declares a probe."""
    return isinstance(value, Mapping) and value.get("kind") == KIND and value.get("apiVersion") == API_VERSION


def probe_of(value: Any, places: Places, path: str) -> Probe:
    """The probe of a document. Raises BadInput with everything that is wrong in it."""
    try:
        given = ProbeDocument.model_validate(dict(value), by_alias=True, by_name=False)
    except ValidationError as error:
        raise BadInput(problems_of(error, ProbeDocument, places, path)) from None
    spec, target = given.spec, given.spec.to
    return Probe(
        given.metadata.name,
        Pods(spec.from_.namespace, spec.from_.pod, spec.from_.selector),
        target.address if target.address is not None else Pods(target.namespace, target.pod, target.selector),
        spec.protocol,
        spec.port,
        spec.expect,
        1.0 if spec.timeout is None else spec.timeout.seconds,
        spec.count,
        str(place_of((), places, path)),
    )


def too_many(probes: tuple[Probe, ...]) -> tuple[Problem, ...]:
    """What is wrong with all probes of a commit together: doubles, and more than can be asked."""
    found, first = [], dict[str, Probe]()
    for each in probes:
        known = first.setdefault(each.name, each)
        if known is not each:
            what = f"probe {each.name} is declared twice, first at {known.place}"
            found.append(Problem(what, each.place, "remove one of them"))
    if len(first) > MOST_PROBES:
        what = f"there are {len(first)} probes, and a set may have {MOST_PROBES}"
        found.append(Problem(what, probes[MOST_PROBES].place, "keep those that say most"))
    return tuple(found)
