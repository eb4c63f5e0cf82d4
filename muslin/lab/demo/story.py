"""Brings the lab up, runs the steps in order, tells it in plain words, ends with a table, and takes the lab down."""

from __future__ import annotations

import asyncio
import contextlib
import textwrap
import time
from collections.abc import Sequence
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

from blueprints.decision import Blueprint
from muslin.datastore.embedded import EmbeddedDatastore
from muslin.errors import MuslinError, Problem
from muslin.lab import interrupts, verbs
from muslin.lab.demo.check import Check
from muslin.lab.demo.cluster import Cluster
from muslin.lab.demo.repository import Clone
from muslin.lab.demo.stage import Demo, Step
from muslin.lab.demo.steps import STEPS
from muslin.lab.state import StateFolder
from muslin.lab.topology import Topology

__all__ = ["show"]

_MARK = 7
"""Width of what stands before a result."""


class _Story:
    """Prints; keeps what each step checked."""

    def __init__(self, out: Console) -> None:
        self._out = out
        self.checks: list[tuple[int, Check]] = []

    @property
    def held(self) -> bool:
        """Whether all that was checked held."""
        return all(check.held for _, check in self.checks)

    def say(self, line: str, indent: int = 5) -> None:
        """A line of what happens; where it is too long for the terminal it goes on below itself."""
        self._out.print(self._wrapped(line, indent), markup=False, soft_wrap=True)

    def _wrapped(self, line: str, indent: int) -> str:
        return textwrap.fill(
            line,
            max(self._out.width, 40),
            initial_indent=" " * indent,
            subsequent_indent=" " * (indent + 2),
            break_long_words=False,
            break_on_hyphens=False,
        )

    def show(self, thing: Any) -> None:
        """A blueprint's decisions, or a problem."""
        if isinstance(thing, Blueprint):
            table = _table("DECISION", "CHOSEN", "BECAUSE")
            for decision in thing.decisions:
                table.add_row(decision.name, decision.chosen, decision.rule)
            self._print_table(table)
        elif isinstance(thing, Problem):
            for line in str(thing).splitlines():
                self.say(line.lstrip(), 7 + len(line) - len(line.lstrip()))

    def title(self, number: int, title: str) -> None:
        """Begin a step."""
        self._out.print(f"\n[bold]{number}. {title}[/bold]")

    def working(self, what: str) -> contextlib.AbstractContextManager[Any]:
        """On a terminal a line that moves while this lasts; elsewhere nothing."""
        return self._out.status(what) if self._out.is_terminal else contextlib.nullcontext()

    def result(self, number: int, check: Check) -> None:
        """One thing that was checked."""
        self.checks.append((number, check))
        mark = "  [green]ok[/green]   " if check.held else "  [red]FAIL[/red] "
        wanted = "" if check.held else f" (wanted: {check.wanted})"
        self._out.print(mark, end="")
        line = self._wrapped(f"{check.what}: {check.measured}{wanted}", _MARK)
        self._out.print(line[_MARK:], markup=False, soft_wrap=True)

    def table(self, took_s: float) -> None:
        """Everything that was checked."""
        table = _table("STEP", "CHECKED", "MEASURED", "WANTED", "")
        for number, check in self.checks:
            table.add_row(str(number), check.what, check.measured, check.wanted, "ok" if check.held else "FAIL")
        self.title(len(STEPS) + 1, "What was checked")
        self._print_table(table)
        held = sum(check.held for _, check in self.checks)
        self._out.print(f"{held} of {len(self.checks)} held, in {took_s:.1f} s.")

    def _print_table(self, table: Table) -> None:
        """Without the blanks that pad lines to the right edge, which show when a terminal is made narrower."""
        with self._out.capture() as captured:
            self._out.print(table)
        for line in captured.get().splitlines():
            self._out.out(line.rstrip(), highlight=False)


def _table(*headings: str) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for heading in headings:
        table.add_column(heading, overflow="fold")  # nothing is cut off
    return table


def show(topology: Topology, out: Console, *, keep: bool) -> bool:
    """Bring a lab up, run every step, and take the lab down, whatever happens.

    With `keep` the lab stays up, unless Ctrl-C, SIGTERM or SIGHUP ended the demo.

    Returns:
        Whether everything held.

    Raises:
        BadInput: a lab of this name is up; it is left alone.
        Failed: the lab could not be made.
        KeyboardInterrupt: a signal ended the demo, and everything is down.
    """
    verbs.must_be_down(topology.name)
    out.print("[bold]From a git push to a packet[/bold]: a cluster of three nodes on this machine")
    began, story, up_failed, kept = time.monotonic(), _Story(out), False, False
    try:
        with interrupts.raised():
            try:
                with story.working("bringing the cluster up"):
                    state = verbs.up(topology)
            except MuslinError:
                up_failed = True  # it has tidied up, and told where the logs are
                raise
            interrupts.run(_told(topology, state, story, began, keep=keep))
            kept = keep
    finally:
        if not kept and not up_failed:
            _down(topology.name)
    if not story.held and not keep:
        out.print("The lab and its logs are gone. To look at them: muslin lab demo --keep", soft_wrap=True)
    return story.held


def _down(name: str) -> None:
    with interrupts.ignored():
        verbs.down(name)


async def _told(topology: Topology, state: StateFolder, story: _Story, began: float, *, keep: bool) -> None:
    over = False
    store = EmbeddedDatastore.open(state.datastore)
    try:
        try:
            cluster = Cluster(store, [node.name for node in topology.nodes])
            clone = await asyncio.to_thread(Clone, state.path / "work", state.repository)
            await _steps(Demo(topology, state, cluster, clone, story.say, story.show), story, STEPS)
        finally:
            await store.close()
        story.table(time.monotonic() - began)
        over = True
    finally:
        if not (keep and over):
            verbs.down(topology.name)  # here, so that no thread waits for an answer of the lab when the loop ends


async def _steps(demo: Demo, story: _Story, steps: Sequence[Step]) -> None:
    """Run steps; one that can't go on ends the story there."""
    for number, step in enumerate(steps, start=1):
        story.title(number, step.title)
        try:
            with story.working(step.title):
                checks = await step.run(demo)
        except MuslinError as error:
            for problem in error.problems:
                story.show(problem)
            story.result(number, Check(step.title, held=False, measured="it did not go on", wanted="done"))
            return
        for check in checks:
            story.result(number, check)
