"""How one set is reconciled: a value that whoever starts a reconciler makes."""

from __future__ import annotations

from dataclasses import dataclass, field

from reconciler.drift import DRIFT_IS_REPAIRED, DriftRules
from reconciler.gates import GateSettings
from reconciler.loop import Backoff
from reconciler.ownership import Rule
from reconciler.plan import Budget

__all__ = ["Settings"]


@dataclass(frozen=True, slots=True)
class Settings:
    """How one set is reconciled.

    Attributes:
        poll_s: look again after this time without any wake-up.
        gates: how long gates wait; None: nothing is waited for, and no commit is watched.
        approval: a commit comes into force when somebody has approved its plan.
        staged_first: staged policies are written before enforced ones.
        drift: what becomes of what somebody else changed.
        ownership: what becomes of fields that others own, the last rule that speaks of one first.
        probes: so many probes a repository may have asked.
    """

    set_name: str = "default"
    poll_s: float = 60.0
    budget: Budget = field(default_factory=Budget)
    backoff: Backoff = field(default_factory=lambda: Backoff(first_s=0.05, limit_s=10.0))
    gates: GateSettings | None = field(default_factory=GateSettings)
    approval: bool = False
    staged_first: bool = False
    drift: DriftRules = DRIFT_IS_REPAIRED
    ownership: tuple[Rule, ...] = ()
    probes: int = 0
