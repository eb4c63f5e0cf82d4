"""A smaller MTU in a running cluster: pods that run keep theirs, so they are made again."""

from __future__ import annotations

from collections.abc import Sequence

from blueprints.decision import section
from blueprints.stages import Condition, Procedure, Stage, Until
from muslin.resources.base import Resource

__all__ = ["PODS_ANEW", "mtu_moves", "which_pods_keep"]

PODS_ANEW = (
    "for node in $(kubectl get nodes -o name); do",
    "  kubectl drain $node --ignore-daemonsets --delete-emptydir-data && kubectl uncordon $node",
    "done",
    "kubectl get daemonsets -A  # and restart those whose pods are not on the hosts' network",
)
"""What makes every pod anew, a node at a time."""


def which_pods_keep(old: int, pods: Sequence[str]) -> str:
    """Who still has the MTU of before, for people."""
    shown = 5
    if not pods:
        return f"every pod that runs now keeps {old} until it is made again"
    rest = f" and {len(pods) - shown} more" if len(pods) > shown else ""
    return f"{', '.join(pods[:shown])}{rest} keep {old} until they are made again"


def mtu_moves(
    old: int | None,
    new: int | None,
    changed: tuple[Resource, ...],
    before: tuple[Resource, ...],
    pods: Sequence[str] = (),
    *,
    remade: bool = False,
) -> Procedure | None:
    """Write what makes packets smaller, then make pods anew; None where pods need not be smaller.

    Args:
        old: MTU of the pods that run, bytes; None where it is not known.
        new: what it shall be.
        changed: FelixConfiguration and pools as they are wished, those that differ.
        before: the same as they run.
        pods: NAMESPACE/NAME of the pods that run, where they are known.
        remade: whether another procedure after this one makes every pod anew.
    """
    if old is None or new is None or new >= old:
        return None
    later = "; what follows makes every pod anew" if remade else ""
    tell = Stage(
        "tell agents and the CNI plugin",
        f"pods that are made from now on have {new}; {which_pods_keep(old, pods)}{later}. Until then packets of more"
        f" than {new} bytes are answered with ICMP (fragmentation needed), which filters must let pass",
        (Until(Condition.STORED),),
        "write it as it was, while no pod was made anew",
        write=changed,
        commands=(f"# upstream: veth_mtu {new} in calico-config, or mtu: {new} of the Installation",),
    )
    anew = Stage(
        "make every pod anew",
        "a pod's interface keeps its MTU as long as it lives; restarting the agent does not change it",
        (Until(Condition.PODS_REMADE),),
        f"none is needed: {new} fits everywhere",
        commands=PODS_ANEW,
    )
    return Procedure(
        f"MTU {old} to {new}",
        "no pod goes on sending packets that do not fit",
        section("MTU Configuration"),
        (tell,) if remade else (tell, anew),
        before,
    )
