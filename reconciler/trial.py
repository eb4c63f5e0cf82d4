"""A commit on trial: gates before its changes, the watch over it afterwards, and the way back."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from reconciler.control import Because, Control
from reconciler.gates import Standing, Verdict
from reconciler.guard import AskRevert, Guard, RevertRequest
from reconciler.passage import Passage, Standings
from reconciler.probe_gate import ProbeGate
from reconciler.status import EventKind
from reconciler.telling import Teller

if TYPE_CHECKING:
    from reconciler.ledger import Ledger
    from reconciler.live import Live
    from reconciler.plan import Plan

__all__ = ["Trial"]

_ONLY_PROBES: Final = "sessions and routes"
"""Excused where a commit touches neither, and is watched for its probes alone."""
_WORST: Final = (
    Standing.FAILED, Standing.WAITING, Standing.SETTLING, Standing.NOT_AVAILABLE, Standing.LEFT_BEHIND, Standing.OPEN
)  # fmt: skip


class Trial:
    """Judges the commit in force.

    Args:
        passage: stands before gates.
        guard: remembers what is decided.
        teller: says it.
        live: what is there.
        ask_revert: is told which commit is taken back now, at each look.
        probes: asks what people want to know.
        on: whether anything is waited for at all.
    """

    def __init__(
        self,
        passage: Passage,
        guard: Guard,
        teller: Teller,
        live: Live,
        ask_revert: AskRevert | None,
        *,
        probes: ProbeGate,
        on: bool,
    ) -> None:
        self._passage, self._probes = passage, probes
        self._guard, self._teller, self._live = guard, teller, live
        self._ask_revert, self._on = ask_revert, on

    async def baseline(self, proposed: Plan) -> tuple[str, ...] | None:
        """What is wrong before a commit comes into force; None where it is not watched."""
        found = await self._passage.baseline(proposed, self._live.entries) if self._on else None
        return (_ONLY_PROBES,) if found is None and self._on and self._probes.wanted else found

    async def standings(self, proposed: Plan, ledger: Ledger, control: Control) -> Standings:
        """How the gates before this plan's steps stand."""
        if not self._on:
            return Standings()
        refused = () if self._probes.refused is None else (self._probes.refused,)
        if not proposed.steps:
            return Standings(refused)
        back = control.held is not None and control.held.back_to == proposed.commit
        now = asyncio.get_running_loop().time()
        found = await self._passage.before(proposed, self._live.entries, ledger, now, forced=back)
        if not back:
            probed = await self._probes.before(found, proposed, self._live.entries, ledger, control.watching)
            found = probed.standings
            await self._learn(proposed.commit, probed.learnt)
        found = Standings((*found.verdicts, *refused), found.closed)
        for each in found.verdicts:
            if each.standing is not Standing.OPEN and each.again_s != 0.0:
                self._say(each, proposed.commit)
        return found

    async def watch_over(self, commit: str, control: Control, ledger: Ledger) -> Verdict | None:
        """How a new commit that is applied does; None where nothing is asked."""
        watching = control.watching
        if watching is None or watching.commit != commit or not self._on:
            return None
        now = asyncio.get_running_loop().time()
        found: list[Verdict] = []
        if _ONLY_PROBES not in watching.excused:
            found.append(await self._passage.health(commit, self._live.entries, watching.excused, now))
        probed, learnt = await self._probes.health(self._live.entries, ledger, watching)
        await self._learn(commit, learnt)
        found += [] if probed is None else [probed]
        for each in found:
            self._say(each, commit)
        verdict = min(found, key=lambda each: _WORST.index(each.standing), default=None)
        if verdict is None or verdict.standing in (Standing.OPEN, Standing.NOT_AVAILABLE):
            await self._guard.is_believed(commit)
            said = [str(each) for each in found if each.why] or [str(verdict.standing if verdict else Standing.OPEN)]
            self._teller.event(EventKind.BELIEVED, "; ".join(said), commit)
        return verdict

    async def _learn(self, commit: str, learnt: tuple[str, ...] | None) -> None:
        """What probes said before anything was changed is kept, so that it is known after a crash as well."""
        if learnt is not None:
            await self._guard.probes_known(commit, learnt)
            for each in learnt:
                self._teller.say(EventKind.GATE, f"{each}; this commit is not blamed for it", commit)

    async def take_back(self, because: Because, verdict: Verdict, ledger: Ledger) -> bool:
        """Go back to the commit before; False where there is none. The next look applies it.

        Raises `Conflict` where another process has brought another commit into force.
        """
        bad, back_to = ledger.accepted, ledger.before
        reason = f"{verdict.gate}: {'; '.join(verdict.why[:5])}"
        if bad is None or back_to is None or bad == back_to:
            self._teller.say(EventKind.GATE, f"{reason}; there is no commit to go back to", bad)
            return False
        await ledger.still_so()
        await self._guard.takes_back(bad, back_to, because, reason)
        self._teller.event(EventKind.ROLLED_BACK, f"back to {back_to}: {reason}", bad)
        return True

    def asks(self, control: Control) -> None:
        """Ask for a revert of what is taken back, or for none: as it stands in the control object, also after a crash.

        While the set is suspended nothing is asked for: nobody writes then.
        """
        held = control.held if control.suspended is None else None
        if self._ask_revert is not None:
            self._ask_revert(
                None if held is None else RevertRequest(held.commit, held.back_to, held.reason, held.because, held.at)
            )

    def asks_nothing(self) -> None:
        """Whoever stops, or no more acts for the set, asks for nothing."""
        if self._ask_revert is not None:
            self._ask_revert(None)

    def _say(self, verdict: Verdict, commit: str) -> None:
        about = f"{verdict.gate}: {verdict.standing}"
        self._teller.say(EventKind.GATE, str(verdict), commit, about=about)
