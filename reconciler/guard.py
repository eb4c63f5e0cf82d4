"""What a look does to the control object: a commit comes into force, is believed, or is taken back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeAlias

from muslin.datastore.protocol import Datastore, Entry
from reconciler.control import Because, Control, HeldCommit, Watch, change, control_key, read
from reconciler.digest import deeds
from reconciler.live import Live
from reconciler.plan import Cause, Plan, Step

__all__ = ["AskRevert", "Guard", "RevertRequest", "unapproved"]

_MUSLIN = "muslin"


@dataclass(frozen=True, slots=True)
class RevertRequest:
    """A commit that hurt, for whoever may push: its content goes back to another one's. `at` is RFC 3339."""

    commit: str
    back_to: str
    reason: str
    because: Because = Because.GATE_FAILED
    at: str = ""


AskRevert: TypeAlias = Callable[[RevertRequest | None], None]
"""Is told at each look which commit is taken back now, None where none is; must not wait, nor fail.

Whoever it is may push a commit that reverts it: the reconciler itself never executes git."""


class Guard:
    """The control object of one set, as the reconciler sees and changes it.

    Args:
        datastore: where it stands.
        set_name: whose.
        live: the watched copy, which is told what is written.
        time: the time now, RFC 3339.
    """

    def __init__(self, datastore: Datastore, set_name: str, live: Live, time: Callable[[], str]) -> None:
        self._datastore, self._set, self._live, self._time = datastore, set_name, live, time

    @property
    def seen(self) -> Control:
        """As the watch has told it: costs nothing."""
        return Control.of(self._live.entries.get(control_key(self._set)))

    async def now(self) -> Control:
        """As it is at this moment: before anything is written. Raises `Unavailable`."""
        return self._noted(*await read(self._datastore, self._set))

    async def comes_into_force(self, plan: Plan, excused: tuple[str, ...] | None, *, approval: bool) -> Control:
        """Before a commit is accepted: what it is watched for, what of it is approved; another one is not held now."""
        every = [each for step in plan.steps for each in (step, step.then) if each is not None]
        steps = tuple(sorted(_digest(plan, step) for step in every)) if approval else ()

        def changed(control: Control) -> Control:
            back = control.held is not None and control.held.back_to == plan.commit
            watching = None if excused is None or back else Watch(plan.commit, self._time(), excused)
            approved = control.approved and replace(control.approved, commit=plan.commit, steps=steps)
            held = control.held if back else None
            approved = approved if approval else control.approved
            return replace(control, watching=watching, held=held, approved=approved, confirmed=())

        return await self._change(changed)

    async def probes_known(self, commit: str, excused: tuple[str, ...]) -> Control:
        """The probes were asked before this commit changed anything: these did not hold."""

        def changed(control: Control) -> Control:
            watching = control.watching
            if watching is None or watching.commit != commit or watching.probed_at:
                return control
            return replace(
                control, watching=replace(watching, excused=(*watching.excused, *excused), probed_at=self._time())
            )

        return await self._change(changed)

    async def is_believed(self, commit: str) -> Control:
        """This commit, which is in force, did no harm. Another one that is watched over by now still is."""
        return await self._change(lambda control: replace(control, watching=_of_others(control, commit)))

    async def takes_back(self, commit: str, back_to: str, because: Because, reason: str) -> Control:
        """The commit in force hurts: from now on `back_to` is in force, or what a person said meanwhile."""
        held = HeldCommit(commit, back_to, because, reason, _MUSLIN, self._time())

        def changed(control: Control) -> Control:
            known = control.held if control.held is not None and control.held.commit == commit else held
            return replace(control, held=known, watching=_of_others(control, commit))

        return await self._change(changed)

    async def note(self, changed: Callable[[Control], Control]) -> Control:
        """What else must outlive this process; no write where nothing changes."""
        return await self._change(changed)

    async def _change(self, changed: Callable[[Control], Control]) -> Control:
        return self._noted(*await change(self._datastore, self._set, changed))

    def _noted(self, control: Control, entry: Entry | None) -> Control:
        known = self._live.entries.get(control_key(self._set))
        if (entry and entry.revision) != (known and known.revision):
            self._live.wrote(control_key(self._set), entry)
        return control


def _of_others(control: Control, commit: str) -> Watch | None:
    watching = control.watching
    return None if watching is None or watching.commit == commit else watching


def unapproved(plan: Plan, control: Control) -> tuple[Step, ...]:
    """Changes that nobody has approved: the world moved since somebody read the plan. Repairs of drift need nobody."""
    approved = control.approved
    if approved is not None and approved.digest == f"sha256:{deeds(plan)}":
        return ()
    known = frozenset(approved.steps) if approved is not None and approved.commit == plan.commit else frozenset()
    return tuple(step for step in plan.steps if step.cause is Cause.CHANGE and _digest(plan, step) not in known)


def _digest(plan: Plan, step: Step) -> str:
    return deeds(Plan(plan.commit, (step,)))[:16]
