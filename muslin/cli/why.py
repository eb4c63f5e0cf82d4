"""Why a cluster is not as its branch says: from what waits, along what it waits for, to the cause and its remedy."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from muslin.cli.printing import printable, short_commit
from muslin.cli.stages import stage_lines
from muslin.cli.stored import mapping_at, mappings_at, text_at, value_at

__all__ = ["causes"]

_STEP = "  "
_NOT_AVAILABLE = "NotAvailable"


def causes(status: Mapping[str, Any]) -> Iterator[str]:
    """Lines for people, indented along the chain of causes, from a set's status as stored; none if all is well.

    What waits for the same thing stands under it together, so that a cause is told once.
    """
    yield from _fetch(status)
    yield from _stopped(status)
    yield from _held(status)
    behind = _behind(status)
    told: set[str] = set()
    for field, word in (("failed", "could not be written"), ("blocked", "is not touched")):
        for each in mappings_at(status, field):
            name = text_at(each, "object")
            told.add(name)
            why = f" ({printable(text_at(each, 'why'))})" if text_at(each, "why") else ""
            yield f"{printable(name)} {word}{why}"
            yield from _problem(each, _STEP)
            yield from _waiting(name, behind, _STEP, told)
    yield from stage_lines(status, "")
    gated = value_at(status, "gated")
    for gate in mappings_at(status, "gates"):
        yield f"gate {printable(text_at(gate, 'gate'))}: {printable(text_at(gate, 'standing'))}"
        reasons = gate.get("why")
        yield from (f"{_STEP}because {printable(str(each))}" for each in (reasons if isinstance(reasons, list) else ()))
        if gated and text_at(gate, "standing") == _NOT_AVAILABLE:
            yield f"{_STEP}fix: start the agents that must report; or look yourself, and start once with --no-gates"
    for name in gated if isinstance(gated, list) else ():
        yield f"{_STEP}{printable(str(name))} waits behind it"
        yield from _waiting(str(name), behind, _STEP * 2, told)
    for name in behind:
        if name not in told and not any(name in names for names in behind.values()):
            # what is waited for has been written meanwhile: the next look goes on
            yield f"{printable(name)} is not there yet"
            yield from _waiting(name, behind, _STEP, told)
    for word, count in mapping_at(status, "notListed").items():
        yield f"... and {printable(str(count))} more {printable(word)}"


def _behind(status: Mapping[str, Any]) -> dict[str, list[str]]:
    """Mapping[what is waited for, those that wait for it]."""
    found: dict[str, list[str]] = {}
    for each in mappings_at(status, "waiting"):
        found.setdefault(text_at(each, "for"), []).append(text_at(each, "object"))
    return found


def _waiting(name: str, behind: Mapping[str, list[str]], indent: str, told: set[str]) -> Iterator[str]:
    told.add(name)
    for each in behind.get(name, ()):
        yield f"{indent}{printable(each)} waits for it"
        if each not in told:
            yield from _waiting(each, behind, indent + _STEP, told)


def _fetch(status: Mapping[str, Any]) -> Iterator[str]:
    fetch = mapping_at(status, "fetch")
    standing = text_at(fetch, "standing")
    if not fetch and not text_at(status, "seen"):
        yield "nothing has been fetched: start `muslin fetch` with the same --mirror"
    elif standing not in ("", "Current"):
        what = "its newest commit is not followed" if standing == "NotVerified" else "the repository is not fetched"
        yield f"{what}: {printable(standing)}"
        if text_at(fetch, "message"):
            yield f"{_STEP}because {printable(text_at(fetch, 'message'))}"
        yield f"{_STEP}what is in force stays in force and is repaired"


def _stopped(status: Mapping[str, Any]) -> Iterator[str]:
    if value_at(status, "paused"):
        yield "nothing is written: datastoreReady is false in ClusterInformation default"
        yield f"{_STEP}fix: end the migration, or `muslin datastore migrate unlock`"
    suspended = mapping_at(status, "suspended")
    if suspended:
        who, when = printable(text_at(suspended, "by")), printable(text_at(suspended, "at"))
        yield f"nothing is written: suspended by {who} at {when}"
        yield f"{_STEP}because {printable(text_at(suspended, 'reason'))}"
        yield f"{_STEP}fix: `muslin resume`"


def _held(status: Mapping[str, Any]) -> Iterator[str]:
    held = mapping_at(status, "held")
    if held:
        commit, reason = short_commit(text_at(held, "commit")), printable(text_at(held, "reason"))
        yield f"commit {commit} is not in force: {reason}"
        accepted = text_at(status, "accepted")
        if accepted:
            yield f"{_STEP}{short_commit(accepted)} stays in force"
        yield from (f"{_STEP}{printable(text_at(each, 'said'))}" for each in mappings_at(status, "fetch", "reverts"))
    for each in mappings_at(status, "problems"):
        yield from _problem(each, _STEP if held else "")


def _problem(each: Mapping[str, Any], indent: str) -> Iterator[str]:
    where, what = printable(text_at(each, "where")), printable(text_at(each, "what"))
    yield f"{indent}because {what}" + (f" ({where})" if where else "")
    if text_at(each, "fix"):
        yield f"{indent}{_STEP}fix: {printable(text_at(each, 'fix'))}"
