"""What must be true of the network before some changes are made, and after a commit: pure, time as a parameter.

A gate stands before a group of changes. It is judged from what nodes report at the moment of each look, so that a
reconciler that was killed stands before the same gate. What nobody reports is *not available*: it is said, and never
taken for true. A gate that guards an outage holds its changes then; one that only makes a change smoother lets go.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from reconciler.order import Group, Stage

__all__ = [
    "TIGHTENING", "Finding", "Gate", "GateKind", "GateSettings", "Gatekeeper", "Standing", "Verdict", "gate_before",
]  # fmt: skip


class GateKind(StrEnum):
    """What is looked at."""

    SESSIONS = "Sessions"
    AGENTS = "Agents"
    PEOPLE = "People"
    PROBES = "Probes"


class Standing(StrEnum):
    """How a gate stands. LEFT_BEHIND: it was waited for long enough, and only guards a smooth change."""

    OPEN = "Open"
    WAITING = "Waiting"
    SETTLING = "Settling"
    FAILED = "Failed"
    NOT_AVAILABLE = "NotAvailable"
    LEFT_BEHIND = "LeftBehind"


@dataclass(frozen=True, slots=True)
class GateSettings:
    """How long gates wait, in seconds.

    Attributes:
        stable_s: a condition that was not true at first must stay true for so long.
        grace_s: a guarding gate that does not open within this has failed.
        agents_s: agents are waited for so long before a change that tightens policy.
        unheard_s: nodes that have not reported by then are not available.
        probes_s: a probe that held and does not for so long has failed, unless `grace_s` is shorter.
    """

    stable_s: float = 5.0
    grace_s: float = 120.0
    agents_s: float = 2.0
    unheard_s: float = 30.0
    probes_s: float = 30.0

    @property
    def patience_s(self) -> float:
        """How long probes may fail that held before."""
        return min(self.grace_s, self.probes_s)


@dataclass(frozen=True, slots=True)
class Gate:
    """One gate of one commit. `guards`: what it stands before would cut the network if it were not open."""

    kind: GateKind
    before: str
    guards: bool

    def __str__(self) -> str:
        return f"{self.kind} before {self.before}"


@dataclass(frozen=True, slots=True)
class Finding:
    """What is the case now: `met`, or not (`lacks`, in words), or not to be known (`unheard`, in words).

    `at_rest`: there is nothing that a wait could show, such as a session that was always there. `deaf`: nobody reports.
    """

    lacks: tuple[str, ...] = ()
    unheard: tuple[str, ...] = ()
    at_rest: bool = False
    deaf: bool = False

    @property
    def met(self) -> bool:
        """Whether the condition is true, and known to be."""
        return not self.lacks and not self.unheard


@dataclass(frozen=True, slots=True)
class Verdict:
    """How a gate stands now, and why. `again_s`: look again after this time even if nothing is heard."""

    gate: Gate
    standing: Standing
    why: tuple[str, ...] = ()
    again_s: float | None = None

    def __str__(self) -> str:
        """One line; not more than the first reasons."""
        return f"{self.gate}: {self.standing}: {'; '.join(self.why[:5])}"

    @property
    def lets_pass(self) -> bool:
        """Whether the changes behind it may be made."""
        if self.standing is Standing.NOT_AVAILABLE:
            # where nobody can ask a probe, nothing says that its commit does harm
            return not self.gate.guards or self.gate.kind is GateKind.PROBES
        return self.standing in (Standing.OPEN, Standing.LEFT_BEHIND)


_TICK_S: Final = 0.01
"""A wait is never shorter: what is left of one may be too little to move a clock."""

TIGHTENING: Final = frozenset({Stage.DENYING, Stage.CLOSING, Stage.SHUTTING})
_LOSING: Final[Mapping[Group, str]] = {
    (Stage.REFLECTORS, False): "nodes reflect",
    (Stage.MESH_OFF, False): "the mesh goes off",
    (Stage.RETIRING, False): "nodes give up peers",
    (Stage.PEERS, True): "BGP peers go",
    (Stage.NODES, True): "nodes go",
    (Stage.MESH, True): "the BGP configuration goes",
}
"""Changes that take sessions, or routes that came over them, away."""


def gate_before(group: Group) -> Gate | None:
    """The gate that stands before a group of changes."""
    if group in _LOSING:
        return Gate(GateKind.SESSIONS, _LOSING[group], guards=True)
    if group[0] in TIGHTENING and not group[1]:
        return Gate(GateKind.AGENTS, "policies deny", guards=False)
    if group == (Stage.ALLOWING, True):
        return Gate(GateKind.AGENTS, "policies that allow go", guards=False)
    return None


class Gatekeeper:
    """Remembers since when each gate of the commit in force is asked for and is met.

    Args:
        settings: how long to wait.
    """

    def __init__(self, settings: GateSettings) -> None:
        self._settings = settings
        self._commit: str | None = None
        self._asked: dict[Gate, float] = {}
        self._met: dict[Gate, float] = {}

    def of(self, commit: str) -> None:
        """From now on about this commit; what was waited for before does not count."""
        if commit != self._commit:
            self._commit, self._asked, self._met = commit, {}, {}

    def forget(self, gate: Gate) -> None:
        """What this gate was waited for does not count any more: another one of its name may come."""
        self._asked.pop(gate, None)
        self._met.pop(gate, None)

    def judge(self, gate: Gate, finding: Finding, now: float) -> Verdict:
        """How the gate stands. `now` in seconds on a clock that never goes back."""
        first = gate not in self._asked
        since = self._asked.setdefault(gate, now)
        if not finding.met:
            self._met.pop(gate, None)
            return self._unmet(gate, finding, now - since)
        if first and finding.at_rest:
            return Verdict(gate, Standing.OPEN)
        if gate.kind is GateKind.AGENTS:
            return Verdict(gate, Standing.OPEN)
        left = self._settings.stable_s - (now - self._met.setdefault(gate, now))
        if left <= 0 or finding.at_rest:
            return Verdict(gate, Standing.OPEN)
        return Verdict(gate, Standing.SETTLING, ("it must stay so for a while",), max(left, _TICK_S))

    def _unmet(self, gate: Gate, finding: Finding, waited: float) -> Verdict:
        settings = self._settings
        why = (*finding.lacks, *finding.unheard)
        patience = settings.grace_s if gate.guards else settings.agents_s
        if gate.kind is GateKind.PROBES:
            patience = settings.patience_s
        if finding.deaf and not gate.guards:
            return Verdict(gate, Standing.NOT_AVAILABLE, why)
        if not gate.guards and waited >= patience:
            return Verdict(gate, Standing.LEFT_BEHIND, why)
        if finding.lacks:
            if waited >= patience:
                return Verdict(gate, Standing.FAILED, why)
            return Verdict(gate, Standing.WAITING, why, max(patience - waited, _TICK_S))
        until = min(settings.unheard_s, patience)
        if waited >= until:
            return Verdict(gate, Standing.NOT_AVAILABLE, why)
        return Verdict(gate, Standing.WAITING, why, max(until - waited, _TICK_S))
