"""The whole reference network as one component: decide, look, then pools, peering and policy as its children."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pulumi

from muslin.pulumi.arguments import ReferenceNetworkArgs
from muslin.pulumi.components import CONCERNS, Whole
from muslin.pulumi.deciding import decided
from muslin.pulumi.outputs import told
from muslin.pulumi.provider import handed_on, provider_of
from muslin.resources.keys import Key

__all__ = ["ReferenceNetwork"]


class ReferenceNetwork(pulumi.ComponentResource):
    """A cluster's network as the reference architecture has it.

    Nothing is registered before the facts are decided and the cluster was looked at, so that whatever is wrong comes at
    preview, all at once, and nothing is written by halves.

    Args:
        name: beginning of all resources' names: `NAME-ippool-default-ipv4-ippool`.
        args: the facts, and how to go about it.
        opts: of the component; with `provider`, that one is used as it is and the cluster is looked at only where
            `client.kubeconfig` says which one it is.

    Attributes:
        blueprint: name of the one that decided.
        decisions: Mapping[question, answer with its reasons].
        reasons: Mapping[object, why its fields are as they are].
        resources: Mapping[Key, resource]: for `depends_on` of others.

    Raises:
        Refused: with every problem, as Pulumi's own error.
    """

    blueprint: pulumi.Output[str]
    decisions: pulumi.Output[Mapping[str, Any]]
    reasons: pulumi.Output[Mapping[str, Any]]

    def __init__(self, name: str, args: ReferenceNetworkArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        from muslin.pulumi.looking import look  # noqa: PLC0415 - it loads our client of the Kubernetes API

        found = decided(args)
        objects = {key: each for concern in CONCERNS for key, each in concern.objects(found, args).items()}
        look(objects, args, opts)
        super().__init__("muslin:network:ReferenceNetwork", name, None, opts)
        provider = provider_of(self, name, args.client)
        below = pulumi.ResourceOptions.merge(handed_on(provider, opts), pulumi.ResourceOptions(parent=self))
        parts = [
            concern(f"{name}-{concern.__name__.lower()}", args, below, whole=Whole(found, name)) for concern in CONCERNS
        ]
        self.resources: Mapping[Key, pulumi.CustomResource] = {
            key: resource for part in parts for key, resource in part.resources.items()
        }
        outputs = told(found.blueprint, self.resources)
        self.blueprint = pulumi.Output.from_input(outputs["blueprint"])
        self.decisions = pulumi.Output.from_input(outputs["decisions"])
        self.reasons = pulumi.Output.from_input(outputs["reasons"])
        self.register_outputs(outputs)
