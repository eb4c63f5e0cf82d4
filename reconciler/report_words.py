"""What an effect says, as sections of rows: what people read on a terminal and in a review alike. Pure.

A section tells its totals in its title; where rows are left out it says how many, and how to see them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

from reconciler.effect.actors import summary
from reconciler.effect.effect import Effect
from reconciler.effect.paths import Path, TrafficChange
from reconciler.effect.routing import Prefixes, RoutingChange, SessionChange
from reconciler.effect.said import in_words

__all__ = ["SHOWN", "Section", "closing_lines", "counted", "sections"]

_T = TypeVar("_T")

SHOWN: Final = 15
"""Rows of a section where not all are asked for."""


@dataclass(frozen=True, slots=True)
class Section:
    """A title, rows under headings, and what is left out."""

    title: str
    headings: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()
    left_out: str = ""


def counted(count: int, what: str, many: str | None = None) -> str:
    """A number with its noun: `1 pair`, `22,600 pairs`."""
    return f"{count:,} {what if count == 1 else many or what + 's'}"


def sections(found: Effect, *, full: bool = False) -> Iterator[Section]:
    """Everything that changes for anybody, most important first."""
    yield from _traffic(found.traffic, full=full)
    if found.staged:
        names = _few(map(str, found.staged.policies), full=full)
        trial = tuple(_traffic(found.staged.traffic, full=full, would=True))
        yield Section(f"Staged, not enforced: {names}{'' if trial else ' would change nothing'}")
        yield from trial
    yield from _routing(found.routing, full=full)
    yield from _addresses(found, full=full)


def closing_lines(found: Effect, *, full: bool = False) -> Iterator[str]:
    """What is said in a sentence: agents, and what the effect cannot say."""
    count = found.agents
    bound = "" if count.exact or not count.nodes else "at most "
    if count.of and (found or found.staged or count.nodes):
        yield f"Agents that must act: {bound}{len(count.nodes):,} of {count.of:,}."
    for reason, keys in found.unjudged:
        yield f"Not judged: {reason.meaning} ({_few(map(str, keys), full=full)})."


def _traffic(change: TrafficChange, *, full: bool, would: bool = False) -> Iterator[Section]:
    headings = ("from", "to", "traffic", "pairs", "decided by")
    cut = ""
    if change.cut and not would:
        cut = f"; agents end connections of {counted(change.cut, 'endpoint')}"
    for paths, pairs, verb, more in (
        (change.opened, change.opened_pairs, "open", ""), (change.closed, change.closed_pairs, "close", cut),
    ):  # fmt: skip
        if paths:
            title = f"{'Would ' + verb if would else verb.capitalize() + 's'} {counted(pairs, 'pair')}{more}"
            shown, left = _cut(paths, full=full)
            rest = sum(path.pairs for path in left)
            yield Section(
                title,
                headings,
                tuple(map(_path, shown)),
                f"{counted(len(left), 'path')} more, {counted(rest, 'pair')}" if left else "",
            )


def _path(path: Path) -> tuple[str, ...]:
    family = f" (IPv{path.versions[0]})" if path.versions == (6,) else ""
    whose = " of the pod's own node" if path.with_own_node else ""
    return (
        summary(path.sources),
        summary(path.destinations),
        f"{in_words(path.traffic)}{family}{whose}",
        f"{path.pairs:,}",
        path.decided.value.lower(),
    )


def _routing(change: RoutingChange, *, full: bool) -> Iterator[Section]:
    ends = [("come", each) for each in change.came] + [("go", each) for each in change.went]
    ends += [("change", each) for each in change.changed]
    if ends:
        counts = [
            f"{len(found):,} {verb}"
            for verb, found in (("come", change.came), ("go", change.went), ("are set up otherwise", change.changed))
            if found
        ]
        shown, left = _cut(ends, full=full)
        if left:
            rows = tuple(_by_kind(ends))
            note = f"{counted(len(ends), 'end')} by kind"
        else:
            rows, note = tuple((verb, each.node, each.peer, _how(each)) for verb, each in shown), ""
        yield Section(f"BGP sessions, each end counted: {', '.join(counts)}", ("", "node", "peer", "how"), rows, note)
    for title, places in (("Prefixes that nodes tell", change.of_nodes), ("Prefixes that peers hear", change.of_peers)):
        if places:
            appear = sum(len(each.appear) for each in places.values())
            vanish = sum(len(each.vanish) for each in places.values())
            named = sorted(places.items())
            shown_places, left_places = _cut(named, full=full)
            yield Section(
                f"{title}: {appear:,} appear, {vanish:,} vanish",
                ("where", "appear", "vanish"),
                tuple((name, *_both(each, full=full)) for name, each in shown_places),
                f"{len(left_places):,} more" if left_places else "",
            )


def _by_kind(ends: Iterable[tuple[str, SessionChange]]) -> Iterator[tuple[str, ...]]:
    groups: dict[tuple[str, str, str], list[SessionChange]] = {}
    for verb, each in ends:
        groups.setdefault((verb, each.kind, "; ".join(each.changed)), []).append(each)
    for (verb, kind, how), found in groups.items():
        nodes = counted(len({each.node for each in found}), "node")
        yield verb, nodes, f"{counted(len(found), 'end')} of {kind}", how


def _how(change: SessionChange) -> str:
    return "; ".join(change.changed) or change.kind


def _both(change: Prefixes, *, full: bool) -> tuple[str, str]:
    return _few(map(str, change.appear), full=full), _few(map(str, change.vanish), full=full)


def _addresses(found: Effect, *, full: bool) -> Iterator[Section]:
    if found.lost:
        total = sum(len(each.addresses) for each in found.lost)
        yield Section(
            f"{counted(total, 'address', 'addresses')} in use lose their pool",
            ("pool", "prefix", "addresses", "of them workloads'"),
            tuple(
                (each.pool, str(each.prefix), _few(each.addresses, full=full), f"{each.workloads:,}")
                for each in found.lost
            ),
        )
    if found.pools:
        yield Section(
            "Pools that treat packets or assignments otherwise",
            ("pool", "what", "before", "after", "addresses in use"),
            tuple((each.pool, each.what, each.before, each.after, f"{each.addresses:,}") for each in found.pools),
        )
    if found.mtus:
        yield Section(
            "MTU of new pods; those that run keep theirs until they start again",
            ("before", "after", "nodes", "pods that run there"),
            tuple(
                (str(each.before), str(each.after), _few(each.nodes, full=full), f"{each.running:,}")
                for each in found.mtus
            ),
        )


def _cut(rows: Sequence[_T], *, full: bool) -> tuple[Sequence[_T], Sequence[_T]]:
    """What is shown, and what is left out; nobody leaves out one row to say that one is left out."""
    if full or len(rows) <= SHOWN + 1:
        return rows, ()
    return rows[:SHOWN], rows[SHOWN:]


_FEW: Final = 5


def _few(names: Iterable[str], *, full: bool) -> str:
    """Names one by one; many as the first ones and how many there are more."""
    found = tuple(names)
    if full or len(found) <= _FEW + 1:
        return ", ".join(found)
    return f"{', '.join(found[:_FEW])} and {len(found) - _FEW:,} more"
