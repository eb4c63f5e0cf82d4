"""What is not changed at once in a cluster that runs: refusals with the way that is safe."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from blueprints.asking import Asked
from blueprints.decision import section
from blueprints.encapsulation import Mode
from blueprints.musts import Must, refuse
from muslin.errors import Problem
from muslin.semantics.routes import Encapsulation

__all__ = ["live_changes"]

_NEW_POOL = (
    "make a second pool, disable the old one, move every pod (delete them, a node at a time) until no block of the old "
    "pool is left, then delete it"
)


def live_changes(asked: Asked, modes: Mapping[int, Mode]) -> tuple[Problem, ...]:
    """Differences between what runs and what is decided that no commit may make; nothing for a new cluster."""
    return () if asked.facts.running is None else tuple(_differences(asked, modes))


def _differences(asked: Asked, modes: Mapping[int, Mode]) -> Iterator[Problem]:
    running, facts = asked.facts.running, asked.facts
    if running is None:
        return
    decided = {each.name: each.chosen for each in asked.decisions}
    known = {mode.value.casefold(): mode for mode in Mode}
    if running.encapsulation is not None:
        where = asked.place("running", "encapsulation")
        now = known.get(running.encapsulation.casefold())
        if now is None:
            what = f"{running.encapsulation!r} is no encapsulation"
            yield from refuse(Must.NOT_LIVE, what, where, f"one of {', '.join(mode.value for mode in Mode)}")
        elif 4 in modes and (now.encapsulation is Encapsulation.VXLAN) != (
            modes[4].encapsulation is Encapsulation.VXLAN
        ):
            what = f"{now.value} runs, and {modes[4].value} can't replace it while it runs: routes come another way"
            fix = "build a new cluster and move to it, or override the decision encapsulation with what runs"
            yield from refuse(Must.NOT_LIVE, what, where, fix)
    if running.pod_range is not None and running.pod_range != facts.pod_range:
        what = f"the running pool has the range {running.pod_range}, which can't be changed"
        where = asked.place("running", "podRange")
        yield from refuse(Must.NOT_LIVE, what, where, _NEW_POOL, section("Routable Pod Network"))
    size = decided.get("block size")
    if running.block_size is not None and size is not None and f"/{running.block_size}" != size:
        what = f"the running pool has blocks of /{running.block_size}, which can't be changed"
        where = asked.place("running", "blockSize")
        yield from refuse(Must.NOT_LIVE, what, where, _NEW_POOL, section("Single Subnet Configuration"))
    number = decided.get("AS number")
    if running.as_number is not None and number is not None and str(int(running.as_number)) != number:
        what = f"nodes run in AS {running.as_number}: with AS {number} every session ends at once, and so do routes"
        fix = f"set asNumber: {running.as_number}; or give nodes the new number one by one, as a peer of its own AS"
        where = asked.place("running", "asNumber")
        yield from refuse(Must.NOT_LIVE, what, where, fix, section("Global Route Reflection"))
