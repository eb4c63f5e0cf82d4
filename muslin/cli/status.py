"""`muslin status`: what the reconciler has applied, what holds it up, and how far each agent is."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import click

from muslin.cli.options import Reach, reaching
from muslin.cli.printing import field_lines, printable, short_commit
from muslin.cli.stages import stage_lines
from muslin.cli.stored import mapping_at, mappings_at, text_at, value_at
from muslin.cli.tables import plain_table
from muslin.cli.why import causes
from muslin.datastore.protocol import Datastore, Json

__all__ = ["status"]

_STATUS = "ReconcilerStatus"
_APPLIED_REVISION = "muslin/applied-revision"
_FETCH_WORKS = frozenset({"", "Current"})


@click.command()
@click.option("--set", "set_name", metavar="NAME", help="Only the reconciler of this set. Default: all.")
@click.option("--drift", "drift_shown", type=click.IntRange(0), default=10, show_default=True, metavar="COUNT",
              help="How many of the latest repairs to show.")  # fmt: skip
@click.option("--why", "why_shown", is_flag=True, help="Follow what holds a set up to its cause, and say what to do.")
@click.option("-o", "--output", type=click.Choice(["text", "json"]), default="text", show_default=True)
@reaching
def status(set_name: str | None, drift_shown: int, why_shown: bool, output: str, reach: Reach) -> int:
    r"""Show what the reconciler has applied, what is held up and why, and which agents have applied which revision.

    Held: the branch's commit is not in force, and the one before it stays. Failed, waiting, blocked: single objects.
    Drift: what somebody else changed, and what it was put back to.

    \b
    muslin status --datastore lab.db
    muslin status --why
    muslin status -o json | jq '.agents[] | {node, appliedRevision}'

    Exit status 1 if a commit is held, an object failed, waits or is blocked, the repository can't be fetched, the
    reconciler is paused, or none has reported.
    """
    look = asyncio.run(_look(reach, set_name))
    if output == "json":
        click.echo(json.dumps(look.to_json(), indent=2, default=str))
        return 0 if look.fine else 1
    if not look.sets:
        wanted = f" of set {set_name}" if set_name else ""
        click.echo(f"No reconciler{printable(wanted)} has reported to this datastore.")
    for name, value in look.sets.items():
        if why_shown:
            click.echo("\n".join(_why(printable(name), value)))
        else:
            click.echo("\n".join(_lines(printable(name), value, drift_shown)))
        click.echo()
    click.echo(_agents_table(look.agents) if look.agents else "No node has registered.")
    return 0 if look.fine else 1


@dataclass(frozen=True, slots=True)
class _Agent:
    """What one node's agent says of itself; empty texts where it has said nothing."""

    node: str
    applied_revision: str = ""
    reported: str = ""
    established: int = 0
    sessions: int = 0


@dataclass(frozen=True, slots=True)
class _Look:
    """Mapping[set, its status as stored], and the agents by node."""

    sets: Mapping[str, Mapping[str, Any]]
    agents: Sequence[_Agent]

    @property
    def fine(self) -> bool:
        """Whether every reconciler has what the branch says in force."""
        return bool(self.sets) and not any(_in_trouble(value) for value in self.sets.values())

    def to_json(self) -> dict[str, Any]:
        """For programs. Fields may be added; readers ignore those that they do not know."""
        return {
            "version": 1,
            "fine": self.fine,
            "reconcilers": [{"set": name, **value} for name, value in self.sets.items()],
            "agents": [
                {
                    "node": agent.node,
                    "appliedRevision": agent.applied_revision or None,
                    "reported": agent.reported or None,
                    "sessions": {"established": agent.established, "all": agent.sessions},
                }
                for agent in self.agents
            ],
        }


def _in_trouble(value: Mapping[str, Any]) -> bool:
    troubles = ("stage", "held", "problems", "blocked", "failed", "waiting", "gated", "paused", "suspended")
    return any(value.get(name) for name in troubles) or text_at(value, "fetch", "standing") not in _FETCH_WORKS


async def _look(reach: Reach, set_name: str | None) -> _Look:
    async with reach.store(gate=False) as store:
        entries = (await store.list(_STATUS)).entries
        sets = {
            entry.key.name: mapping_at(entry.value, "status")
            for entry in entries
            if set_name is None or entry.key.name == set_name
        }
        return _Look(sets, await _agents(store))


async def _agents(store: Datastore) -> list[_Agent]:
    nodes = [entry.key.name for entry in (await store.list("Node")).entries]
    reports: dict[str, Json] = {}
    for entry in (await store.list("CalicoNodeStatus")).entries:
        reports.setdefault(text_at(entry.value, "spec", "node") or entry.key.name, entry.value)
    return [_agent(node, reports.get(node, {})) for node in sorted({*nodes, *reports})]


def _agent(node: str, report: Json) -> _Agent:
    peers = [peer for field in ("peersV4", "peersV6") for peer in mappings_at(report, "status", "bgp", field)]
    return _Agent(
        node,
        text_at(report, "metadata", "annotations", _APPLIED_REVISION),
        text_at(report, "status", "lastUpdated"),
        sum(text_at(peer, "state") == "Established" for peer in peers),
        len(peers),
    )


def _agents_table(agents: Sequence[_Agent]) -> str:
    now = datetime.now(UTC)
    rows = [
        [agent.node, agent.applied_revision or "-", f"{agent.established}/{agent.sessions}", _when(agent.reported, now)]
        for agent in agents
    ]
    return plain_table(["NODE", "APPLIED REVISION", "SESSIONS UP", "REPORTED"], rows)


def _when(reported: str, now: datetime) -> str:
    """A time and how long ago that is: an agent that has lost the datastore forwards on, and reports nothing new."""
    try:
        then = datetime.fromisoformat(reported)
    except ValueError:
        return reported or "never"
    seconds = (now - (then if then.tzinfo else then.replace(tzinfo=UTC))).total_seconds()
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= size:
            return f"{reported} ({int(seconds // size)} {unit} ago)"
    return reported


def _why(name: str, value: Mapping[str, Any]) -> Iterator[str]:
    found = [f"  {line}" for line in causes(value)]
    accepted = short_commit(text_at(value, "accepted"))
    yield f"Set {name}: {'not as the branch says' if found else f'as the branch says, at {accepted}'}"
    yield from found


def _lines(name: str, value: Mapping[str, Any], drift_shown: int) -> Iterator[str]:
    yield f"Set {name}: applied {short_commit(text_at(value, 'applied'))}, as of {text_at(value, 'at') or 'never'}"
    accepted, applied = text_at(value, "accepted"), text_at(value, "applied")
    if accepted and accepted != applied:
        yield f"  in force: {short_commit(accepted)}, not applied completely"
    fetch = mapping_at(value, "fetch")
    if fetch:
        words = [text_at(fetch, field) for field in ("standing", "repository", "branch", "message")]
        yield f"  fetch: {printable(' '.join(word for word in words if word))}"
    if text_at(fetch, "rewrittenFrom"):
        yield f"  the branch was rewritten, it was {short_commit(text_at(fetch, 'rewrittenFrom'))}"
    yield from (f"  {printable(text_at(each, 'said'))}" for each in mappings_at(fetch, "reverts"))
    counts = {word: count for word, count in mapping_at(value, "lastPlan").items() if count}
    if counts:
        yield f"  last plan: {printable(', '.join(f'{count} {word}' for word, count in counts.items()))}"
    if value_at(value, "paused"):
        yield "  PAUSED: datastoreReady is false in ClusterInformation default; nothing is written"
    suspended = mapping_at(value, "suspended")
    if suspended:
        by, at, reason = (printable(text_at(suspended, field)) for field in ("by", "at", "reason"))
        yield f"  SUSPENDED by {by} at {at}: {reason}"
    yield from _held(value)
    yield from stage_lines(value, "  ")
    yield from _gates(value)
    for heading, field in (("FAILED", "failed"), ("blocked", "blocked")):
        for each in mappings_at(value, field):
            why = f" ({text_at(each, 'why')})" if text_at(each, "why") else ""
            yield f"  {heading} {printable(text_at(each, 'object'))}{printable(why)}"
            yield from _problem(each)
    for each in mappings_at(value, "waiting"):
        yield f"  WAITING {printable(text_at(each, 'object'))} for {printable(text_at(each, 'for'))}"
    for word, count in mapping_at(value, "notListed").items():
        yield f"  ... and {printable(str(count))} more {printable(word)}"
    yield from _drift(mappings_at(value, "drift"), drift_shown)


def _held(value: Mapping[str, Any]) -> Iterator[str]:
    problems = mappings_at(value, "problems")
    if value_at(value, "held"):
        commit, reason = text_at(value, "held", "commit"), text_at(value, "held", "reason")
        yield f"  HELD {short_commit(commit)} is not in force: {printable(reason)}"
        if text_at(value, "held", "digest"):
            yield f"    plan:  {printable(text_at(value, 'held', 'digest'))}"
    for each in problems:
        yield from _problem(each)
    more = int(text_at(value, "problemCount", default="0")) if text_at(value, "problemCount").isdecimal() else 0
    if more > len(problems):
        yield f"    ... and {more - len(problems)} more"


def _gates(value: Mapping[str, Any]) -> Iterator[str]:
    gated = value_at(value, "gated")
    more = value_at(value, "notListed", "gated")
    count = len(gated) if isinstance(gated, list) else 0
    count += more if isinstance(more, int) else 0
    behind = f", {count} objects wait" if isinstance(gated, list) and gated else ""
    for gate in mappings_at(value, "gates"):
        standing = text_at(gate, "standing")
        yield f"  gate {printable(text_at(gate, 'gate'))}: {printable(standing)}{behind}"
        reasons = gate.get("why")
        yield from (f"    {printable(str(each))}" for each in (reasons if isinstance(reasons, list) else ()))


def _problem(each: Mapping[str, Any]) -> Iterator[str]:
    yield f"    {printable(text_at(each, 'what'))}"
    for word in ("where", "fix", "rule"):
        if text_at(each, word):
            label = f"{word}:"
            yield f"      {label:<6} {printable(text_at(each, word))}"


def _drift(repairs: Sequence[Mapping[str, Any]], shown: int) -> Iterator[str]:
    if repairs:
        hidden = f", the latest {min(shown, len(repairs))}" if len(repairs) > shown else ""
        yield f"  drift repaired: {len(repairs)}{hidden}"
    for each in repairs[len(repairs) - shown if len(repairs) > shown else 0 :]:
        yield f"    {printable(text_at(each, 'at'))}  {printable(text_at(each, 'object'))}"
        fields = [(text_at(part, "path"), part.get("old"), part.get("new")) for part in mappings_at(each, "fields")]
        yield from (f"      {line}" for line in field_lines(fields))
