"""What a program tells the components: facts, which parts, and how Pulumi goes about it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from os import PathLike
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import pulumi

if TYPE_CHECKING:
    from blueprints.facts import Facts

__all__ = ["Client", "FactsInput", "Gate", "ReferenceNetworkArgs", "is_password"]

FactsInput: TypeAlias = "Facts | Mapping[str, Any] | str | PathLike[str]"
"""Facts, the same as JSON-like values, or the path of a `cluster.yaml`."""

_QPS: Final = 500
_BURST: Final = 1000
"""The provider's own 50 requests a second are what one waits for: `pulumi up --refresh` of 200 objects takes 18 s
with them and 6 to 8 s with these."""


_LONGEST_PASSWORD: Final = 80
"""Bytes: more, the kernel does not take, and no session comes up."""


def is_password(text: object) -> bool:
    """Whether sessions can come up with it; one that is an Output is not known here, and is taken as given."""
    return isinstance(text, pulumi.Output) or (isinstance(text, str) and 0 < len(text.encode()) <= _LONGEST_PASSWORD)


@dataclass(frozen=True, slots=True)
class Client:
    """How the components' own provider speaks with the cluster; of no effect where the program gives a provider.

    Attributes:
        kubeconfig: its text or path, None for KUBECONFIG or `~/.kube/config`. Unknown in a preview where the program
            makes the cluster itself: the cluster is then not looked at beforehand.
        context: of the kubeconfig, None for its current one.
        qps: requests a second.
        burst: requests that may come at once.
    """

    kubeconfig: pulumi.Input[str] | None = field(default=None, repr=False)  # credentials may stand in it
    context: str | None = None
    qps: int = _QPS
    burst: int = _BURST


@dataclass(frozen=True, slots=True)
class Gate:
    """What must be true before the node-to-node mesh is turned off: sessions are up, as nodes report them.

    Reflectors report their sessions in a CalicoNodeStatus that the component makes. Whoever runs neither upstream's
    agents nor others that write it gives `None` instead of a gate, and looks for themselves.

    Attributes:
        timeout_s: how long Pulumi waits for them, seconds.
        period_s: how often nodes report, seconds; 1..86400.
    """

    timeout_s: int = 600
    period_s: int = 10


@dataclass(frozen=True, slots=True)
class ReferenceNetworkArgs:
    """Everything that a component can be told.

    Attributes:
        facts: the cluster as its owner describes it.
        blueprint: which one decides; the facts' own where None, else the one that fits.
        stage: of a change that a running cluster must not make at once, from 1: one `pulumi up` each; None where
            nothing that runs has to change so.
        passwords: Mapping[name of a Secret, password of the BGP sessions]. The Secret is made, with the password under
            the key `password`; always secret in Pulumi's state.
        password_namespace: where these Secrets are: the agents' namespace.
        password_readers: the agents' service account, which may read them; None where it may already.
        default_policy: whether to write the policies as well; say no until namespaces have those that they need.
        gate: before the mesh goes off; None to do without.
        shared: objects that somebody else owns and of which only these fields are ours, as `BGPConfiguration/default`.
            They are patched; destroying the stack leaves them. Nodes, Felix' settings and built-in tiers always are.
        force: objects whose fields are taken over from whoever manages them, as `IPPool/default-ipv4-ippool`.
        protect_pools: whether Pulumi refuses to delete pools.
        retain: whether objects stay when they leave the program or the stack is destroyed: said before hand-over.
        look_first: whether to ask the cluster for what would make a write fail, at preview, before anything is written.
        client: how to speak with it.
    """

    facts: FactsInput
    blueprint: str | None = None
    stage: int | None = None
    passwords: Mapping[str, pulumi.Input[str]] = field(default_factory=dict, repr=False)
    password_namespace: str = "kube-system"  # noqa: S105 - a namespace
    password_readers: str | None = "calico-node"  # noqa: S105 - an account
    default_policy: bool = True
    gate: Gate | None = field(default_factory=Gate)
    shared: Collection[str] = ()
    force: Collection[str] = ()
    protect_pools: bool = True
    retain: bool = False
    look_first: bool = True
    client: Client = field(default_factory=Client)
