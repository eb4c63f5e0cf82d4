"""One component for each concern, for programs that take parts: pools, peering, policy.

Each decides from the whole cluster's facts, as the other parts do, and writes its own kinds only. No object of one
waits for an object of another: the order between them is within each.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import pulumi

from muslin.pulumi.arguments import ReferenceNetworkArgs
from muslin.pulumi.deciding import Decided, decided
from muslin.pulumi.outputs import told
from muslin.pulumi.provider import handed_on, provider_of
from muslin.pulumi.writing import Writing
from muslin.resources.keys import Key

__all__ = ["CONCERNS", "Concern", "Peering", "Policy", "Pools", "Whole"]


@dataclass(frozen=True, slots=True)
class Whole:
    """What a part takes over from the network that it is a part of: what was decided, and its resources' names."""

    found: Decided
    name: str


class Concern(pulumi.ComponentResource):
    """A part of the network. Not for use by itself.

    Attributes:
        decisions: Mapping[question, answer, rule, inputs, alternatives, consequence, source]: those that its objects
            follow from.
        reasons: Mapping[object, why its fields are as they are].
    """

    KINDS: ClassVar[frozenset[str]] = frozenset()
    TYPE: ClassVar[str] = ""
    decisions: pulumi.Output[Mapping[str, Any]]
    reasons: pulumi.Output[Mapping[str, Any]]

    def __init__(
        self,
        name: str,
        args: ReferenceNetworkArgs,
        opts: pulumi.ResourceOptions | None = None,
        *,
        whole: Whole | None = None,
    ) -> None:
        found = whole.found if whole is not None else _looked_at(args, type(self), opts)
        prefix = whole.name if whole is not None else name
        super().__init__(self.TYPE, name, None, opts)
        provider = provider_of(self, name, args.client)
        objects = self.objects(found, args)
        writing = Writing(self, prefix, args, handed_on(provider, opts))
        self._write(writing, prefix, objects, found, args)
        self.resources: Mapping[Key, pulumi.CustomResource] = dict(writing.made)
        """Mapping[Key, resource]: for `depends_on` of others."""
        outputs = told(found.blueprint, objects)
        self.decisions, self.reasons = (
            pulumi.Output.from_input(outputs["decisions"]),
            pulumi.Output.from_input(outputs["reasons"]),
        )
        self.register_outputs(outputs)

    @classmethod
    def objects(cls, found: Decided, args: ReferenceNetworkArgs) -> dict[Key, Mapping[str, Any]]:
        """Mapping[Key, object as JSON]: what is written here."""
        from muslin.resources import dump  # noqa: PLC0415 - models are loaded by who decides

        del args
        return {each.key: dump(each) for each in found.blueprint.resources if each.kind in cls.KINDS}

    def _write(
        self,
        writing: Writing,
        name: str,
        objects: Mapping[Key, Mapping[str, Any]],
        found: Decided,
        args: ReferenceNetworkArgs,
    ) -> None:
        del name, found, args
        writing.objects(objects)


class Pools(Concern):
    """Where pods' addresses come from, how they are encapsulated, and the MTU that follows."""

    KINDS = frozenset(
        {
            "ClusterInformation", "FelixConfiguration", "IPAMConfiguration", "IPPool", "IPReservation",
            "KubeControllersConfiguration",
        }
    )  # fmt: skip
    TYPE = "muslin:network:Pools"


class Peering(Concern):
    """Who tells whom about routes: BGP's settings, filters, peers, and what is declared of nodes."""

    KINDS = frozenset({"BGPConfiguration", "BGPFilter", "BGPPeer", "Node"})
    TYPE = "muslin:network:Peering"

    def _write(
        self,
        writing: Writing,
        name: str,
        objects: Mapping[Key, Mapping[str, Any]],
        found: Decided,
        args: ReferenceNetworkArgs,
    ) -> None:
        from muslin.pulumi.gate import gates  # noqa: PLC0415 - its values are the models'
        from muslin.pulumi.secrets import passwords  # noqa: PLC0415 - as above

        nodes = {key.name: value for key, value in objects.items() if key.kind == "Node"}
        asked = gates(found.facts, nodes, args.gate) if args.gate is not None else ()
        writing.objects(objects, first=passwords(name, args, writing.opts), gates=asked)


class Policy(Concern):
    """What may talk to what: tiers, sets, policies. Empty while `default_policy` is False."""

    KINDS = frozenset(
        {
            "GlobalNetworkPolicy", "GlobalNetworkSet", "HostEndpoint", "NetworkPolicy", "NetworkSet", "Profile",
            "StagedGlobalNetworkPolicy", "StagedKubernetesNetworkPolicy", "StagedNetworkPolicy", "Tier",
        }
    )  # fmt: skip
    TYPE = "muslin:network:Policy"

    @classmethod
    def objects(cls, found: Decided, args: ReferenceNetworkArgs) -> dict[Key, Mapping[str, Any]]:
        """See `Concern.objects`."""
        return super().objects(found, args) if args.default_policy else {}


CONCERNS: tuple[type[Concern], ...] = (Pools, Peering, Policy)
"""In the order in which they are registered; every kind that blueprints emit is of one of them."""


def _looked_at(args: ReferenceNetworkArgs, concern: type[Concern], opts: pulumi.ResourceOptions | None) -> Decided:
    from muslin.pulumi.looking import look  # noqa: PLC0415 - it loads our client of the Kubernetes API

    found = decided(args)
    look(concern.objects(found, args), args, opts)
    return found
