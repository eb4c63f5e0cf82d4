"""Bugs to plant: each must be found by the simulation within its fixed seeds, or the simulation has no teeth."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from typing import Any

import pytest

from muslin.datastore import mirror
from muslin.datastore.protocol import Bookmark, Change
from muslin.ipam.blocks import Attribute, Block
from muslin.net import Address, Mac
from reconciler import ledger, proposing
from reconciler.manifests import Reading
from reconciler.plan import Cause
from runtime import convergence, speaker_side
from runtime.bgp import core, view
from runtime.calc import compute as calculation
from runtime.calc.state import Action, NodeState
from runtime.cni import attach
from runtime.dataplane.ir import Ruleset, VerdictKind
from runtime.dataplane.routes import DesiredRoutes
from runtime.dataplane.ruleset import compile_ruleset
from tests.support.memory_git import MemorySource

__all__ = ["PLANTED"]

Plant = Callable[[pytest.MonkeyPatch], None]


def _forget_learnt_routes(patch: pytest.MonkeyPatch) -> None:
    def keep(self: view.SpeakerView) -> None:
        self._told.clear()
        self._in_sync = self._complete = True

    patch.setattr(view.SpeakerView, "_keep", keep)


def _sweep_before_in_sync(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(speaker_side.SpeakerSide, "in_sync", property(lambda self: True))


def _peers_forget_at_once(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(core, "keep", lambda rib, peer, session, ended: rib.drop(peer.settings.key) or 0)


def _restart_is_not_told(patch: pytest.MonkeyPatch) -> None:
    former = core.Speaker.__init__

    def start(self: core.Speaker, random: Any, *, restarted: bool = False, epoch_s: float = 0.0) -> None:
        former(self, random, restarted=False, epoch_s=epoch_s)

    patch.setattr(core.Speaker, "__init__", start)


def _skip_the_cut(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(convergence.Convergence, "_cut", lambda self, state: None)


def _cut_everything(patch: pytest.MonkeyPatch) -> None:
    def cut(self: convergence.Convergence, state: NodeState) -> None:
        addresses = frozenset(address for each in state.endpoints.values() for address in each.addresses)
        self._kernel.conntrack.cut(addresses, lambda flow: False)

    patch.setattr(convergence.Convergence, "_cut", cut)


def _assign_twice(patch: pytest.MonkeyPatch) -> None:
    former = Block.assigned_each

    def assigned_each(
        self: Block, attributes: Sequence[Attribute], reserved: Callable[[Address], bool] = lambda _: False
    ) -> tuple[Block, tuple[Address, ...]]:
        block, given = former(replace(self, unallocated=tuple(range(len(self.allocations)))), attributes, reserved)
        free = tuple(ordinal for ordinal, index in enumerate(block.allocations) if index is None)
        return replace(block, unallocated=free), given

    patch.setattr(Block, "assigned_each", assigned_each)


def _apply_half_a_bad_commit(patch: pytest.MonkeyPatch) -> None:
    former = MemorySource.read

    async def read(self: MemorySource, commit: str) -> Reading:
        return replace(await former(self, commit), problems=())

    patch.setattr(MemorySource, "read", read)


def _forget_what_is_ours(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(ledger.Ledger, "owned", property(lambda self: {}))


def _answer_before_policy(patch: pytest.MonkeyPatch) -> None:
    async def enforced(
        self: convergence.Convergence, interface: str, addresses: Collection[Address], mac: Mac | None = None
    ) -> None:
        return

    patch.setattr(convergence.Convergence, "enforced", enforced)


def _no_rollback(patch: pytest.MonkeyPatch) -> None:
    async def nothing(undo: AsyncExitStack, cause: BaseException) -> None:
        undo.pop_all()

    async def no_release(self: attach.Attacher, request: Any) -> None:
        return

    patch.setattr(attach, "_take_back", nothing)
    patch.setattr(attach.Attacher, "_delete", no_release)


def _open_to_unknown_links(patch: pytest.MonkeyPatch) -> None:
    former = compile_ruleset

    def opened_ruleset(state: NodeState) -> Ruleset:
        made = former(state)
        opened = {
            name: replace(
                chain,
                rules=tuple(
                    rule
                    for rule in chain.rules
                    if not (chain.hook is not None and getattr(rule.terms[-1], "kind", None) is VerdictKind.DROP)
                ),
            )
            for name, chain in made.chains.items()
        }
        return replace(made, chains=opened)

    patch.setattr(convergence, "compile_ruleset", opened_ruleset)


def _deny_is_allow(patch: pytest.MonkeyPatch) -> None:
    former = calculation._tier

    def tier(of: Any) -> Any:
        return replace(former(of), default_action=Action.PASS)

    patch.setattr(calculation, "_tier", tier)


def _lose_a_change(patch: pytest.MonkeyPatch) -> None:
    former = mirror.Mirror._take

    def take(self: mirror.Mirror, event: Change | Bookmark, pending: Any) -> Any:
        if isinstance(event, Change) and event.value is None:
            event = Bookmark(event.revision)
        return former(self, event, pending)

    patch.setattr(mirror.Mirror, "_take", take)


def _go_on_after_compaction(patch: pytest.MonkeyPatch) -> None:
    former = mirror.Mirror._listed

    async def listed(self: mirror.Mirror) -> Any:
        fresh, position = await former(self)
        if self._version:
            fresh.decoded = dict(self._copy.decoded)
        return fresh, position

    patch.setattr(mirror.Mirror, "_listed", listed)


def _stale_agent_after_change(patch: pytest.MonkeyPatch) -> None:
    former = convergence.Convergence.take
    count = [0]

    def take(self: convergence.Convergence, *arguments: Any, **options: Any) -> None:
        count[0] += 1
        if count[0] % 7:
            former(self, *arguments, **options)

    patch.setattr(convergence.Convergence, "take", take)


def _never_delete_routes(patch: pytest.MonkeyPatch) -> None:
    former = DesiredRoutes.of

    def of(state: NodeState, learnt: Any = (), *, keep_learnt: bool = False) -> DesiredRoutes:
        return former(state, learnt, keep_learnt=True)

    patch.setattr(DesiredRoutes, "of", of)


def _reconciler_ignores_drift(patch: pytest.MonkeyPatch) -> None:
    former = proposing.Proposer.plan

    async def plan(self: proposing.Proposer, reading: Reading, of: ledger.Ledger) -> Any:
        made = await former(self, reading, of)
        return replace(made, steps=tuple(step for step in made.steps if step.cause is not Cause.DRIFT))

    patch.setattr(proposing.Proposer, "plan", plan)


PLANTED: Mapping[str, Plant] = {
    "the agent forgets learnt routes when the speaker dies": _forget_learnt_routes,
    "the agent sweeps before the speaker is in sync": _sweep_before_in_sync,
    "a speaker drops a restarting peer's routes": _peers_forget_at_once,
    "a restarted speaker does not say that it forwarded on": _restart_is_not_told,
    "denied connections are not cut": _skip_the_cut,
    "allowed connections are cut with the denied ones": _cut_everything,
    "an address is given out twice": _assign_twice,
    "half a bad commit is applied": _apply_half_a_bad_commit,
    "the reconciler forgets what is its own": _forget_what_is_ours,
    "ADD answers before policy is in the kernel": _answer_before_policy,
    "failed sandboxes leak": _no_rollback,
    "unknown links are let through": _open_to_unknown_links,
    "the end of a tier allows": _deny_is_allow,
    "the mirror loses deletions": _lose_a_change,
    "the mirror goes on after compaction without listing": _go_on_after_compaction,
    "the agent misses every seventh snapshot": _stale_agent_after_change,
    "withdrawn routes stay": _never_delete_routes,
    "drift is not repaired": _reconciler_ignores_drift,
}
