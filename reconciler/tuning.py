"""Options of the reconciler process that say how carefully it writes, and what they come to."""

from __future__ import annotations

import argparse
from difflib import get_close_matches
from typing import Final

from reconciler.controller import Settings
from reconciler.drift import DriftRule, DriftRules, Mode
from reconciler.gates import GateSettings
from reconciler.manifests import declarable
from reconciler.ownership import Rule, Take
from reconciler.plan import Budget
from reconciler.probe import MOST_PROBES

__all__ = ["add_options", "settings"]

_MODES: Final = (Mode.REPAIR, Mode.REPORT, Mode.IGNORE)


def _drift(text: str) -> DriftRule:
    """`KIND[.FIELD]=MODE`; `*` for all kinds."""
    what, equals, mode = text.partition("=")
    kind, _, path = what.partition(".")
    if not equals or not kind or mode not in _MODES:
        raise argparse.ArgumentTypeError(f"{text!r} is not KIND[.FIELD]=repair|report|ignore")
    _check_kind(kind)
    return DriftRule(Mode(mode), kind, path)


def _fields(text: str) -> Rule:
    """`MANAGER[:KIND[.FIELD]]=TAKE`; `*` for all managers and kinds."""
    what, equals, take = text.rpartition("=")
    manager, _, of = what.partition(":")
    kind, _, path = of.partition(".")
    if not equals or not manager or take not in tuple(Take):
        raise argparse.ArgumentTypeError(f"{text!r} is not MANAGER[:KIND[.FIELD]]=defer|override|error")
    _check_kind(kind or "*")
    return Rule(Take(take), manager, kind or "*", path)


def _check_kind(kind: str) -> None:
    """A rule for a kind that does not exist would say nothing, and nobody would see that it does."""
    if kind != "*" and kind not in declarable():
        meant = get_close_matches(kind, declarable(), 1)
        fix = f"; did you mean {meant[0]}?" if meant else f", as {', '.join(sorted(declarable()))} are"
        raise argparse.ArgumentTypeError(f"{kind!r} is not a kind that a repository may declare{fix}")


def _count(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is not a number")
    return int(text)


def _probes(text: str) -> int:
    if _count(text) > MOST_PROBES:
        raise argparse.ArgumentTypeError(f"{text} are more than {MOST_PROBES}")
    return int(text)


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add them."""
    add = parser.add_argument
    add("--max-endpoints", type=_count, metavar="N", help="endpoints that one commit's removals may concern (any)")
    add("--approval", action="store_true", help="a commit waits until its plan is approved by `muslin approve`")
    add("--no-gates", action="store_true", help="wait for no session and no agent, and take nothing back by itself")
    add("--grace", type=_count, default=120, metavar="S", help="seconds until a gate has failed (120)")
    add("--stable", type=_count, default=5, metavar="S", help="seconds that a gate must be true to open (5)")
    add(
        "--probes", type=_probes, default=0, metavar="N", help=f"let so many probes be asked, {MOST_PROBES} at most (0)"
    )
    add("--staged-first", action="store_true", help="write staged policies before enforced ones")
    add(
        "--drift", action="append", type=_drift, default=[], metavar="KIND[.FIELD]=MODE",
        help="repair, report or ignore what others change; the last that fits decides",
    )  # fmt: skip
    add(
        "--fields", action="append", type=_fields, default=[], metavar="MANAGER[:KIND[.FIELD]]=TAKE",
        help="defer, override or error for fields that others own, on Kubernetes",
    )  # fmt: skip


def settings(arguments: argparse.Namespace) -> Settings:
    """What all options together say about one set."""
    return Settings(
        set_name=arguments.set_name,
        poll_s=arguments.interval,
        budget=Budget(part=arguments.max_deletes, allow_empty=arguments.allow_empty, endpoints=arguments.max_endpoints),
        gates=None if arguments.no_gates else GateSettings(float(arguments.stable), float(arguments.grace)),
        approval=arguments.approval,
        staged_first=arguments.staged_first,
        probes=arguments.probes,
        drift=DriftRules(tuple(arguments.drift)),
        ownership=tuple(arguments.fields),
    )
