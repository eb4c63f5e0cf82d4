"""What a component tells whoever uses it: the decisions with their reasons, and for each object why it is as it is."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, Any

from muslin.pulumi.naming import spoken

if TYPE_CHECKING:
    from blueprints.decision import Blueprint, Decision
    from muslin.resources.keys import Key

__all__ = ["told"]


def told(blueprint: Blueprint, objects: Collection[Key]) -> dict[str, Any]:
    """Outputs `blueprint`, `decisions` and `reasons`: known at preview, the same for the same facts.

    Args:
        blueprint: all decisions.
        objects: those that are written here; decisions that determine none of any component are told everywhere.
    """
    here = set(objects)
    chosen = [each for each in blueprint.decisions if not each.fields or any(key in here for key, _ in each.fields)]
    reasons: dict[str, list[str]] = {}
    for each in chosen:
        for key in dict.fromkeys(key for key, _ in each.fields if key in here):
            reasons.setdefault(spoken(key), []).append(f"{each.name}: {each.chosen}, because {each.rule}")
    return {
        "blueprint": blueprint.name,
        "decisions": {each.name: _told(each) for each in chosen},
        "reasons": reasons,
    }


def _told(decision: Decision) -> dict[str, Any]:
    return {
        "chosen": decision.chosen,
        "because": decision.rule,
        "inputs": dict(decision.inputs),
        "notChosen": {each.name: each.against for each in decision.alternatives},
        "consequence": decision.consequence,
        "source": decision.source,
        **({"override": decision.override} if decision.override is not None else {}),
    }
