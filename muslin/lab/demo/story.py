"""Runs the steps in order, prints what happens in plain words, and ends with a table of what was measured."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

from blueprints.decision import Blueprint
from muslin.datastore.embedded import EmbeddedDatastore
from muslin.errors import MuslinError, Problem
from muslin.lab.demo.check import Check
from muslin.lab.demo.cluster import Cluster
from muslin.lab.demo.repository import Clone
from muslin.lab.demo.steps import STEPS, Demo, Step
from muslin.lab.state import StateFolder
from muslin.lab.topology import Topology

__all__ = ["tell"]


class _Story:
    """Prints; keeps what each step checked."""

    def __init__(self, out: Console) -> None:
        self._out = out
        self.checks: list[tuple[int, Check]] = []
        self.failed = False

    def say(self, line: str) -> None:
        """A line of what happens."""
        self._out.print(f"     {line}", markup=False)

    def show(self, thing: Any) -> None:
        """A blueprint's decisions, or a problem."""
        if isinstance(thing, Blueprint):
            table = Table("DECISION", "CHOSEN", "BECAUSE", box=box.SIMPLE_HEAD, pad_edge=False)
            for decision in thing.decisions:
                table.add_row(decision.name, decision.chosen, decision.rule)
            self._out.print(table)
        elif isinstance(thing, Problem):
            for line in str(thing).splitlines():
                self._out.print(f"       {line}", markup=False)

    def title(self, number: int, step: Step) -> None:
        """Begin a step."""
        self._out.print(f"\n[bold]{number}. {step.title}[/bold]")

    def result(self, number: int, check: Check) -> None:
        """One thing that was checked."""
        self.checks.append((number, check))
        mark = "[green]ok[/green]  " if check.held else "[red]FAIL[/red]"
        self._out.print(f"  {mark} {check.what}: {check.measured}")
        self.failed |= not check.held

    def table(self, took_s: float) -> None:
        """Everything that was checked."""
        table = Table("STEP", "CHECKED", "MEASURED", "WANTED", "", box=box.SIMPLE_HEAD, pad_edge=False)
        for number, check in self.checks:
            table.add_row(str(number), check.what, check.measured, check.wanted, "ok" if check.held else "FAIL")
        self._out.print("\n[bold]9. What was checked[/bold]")
        self._out.print(table)
        held = sum(check.held for _, check in self.checks)
        self._out.print(f"{held} of {len(self.checks)} held, in {took_s:.1f} s.")


async def tell(topology: Topology, state: StateFolder, out: Console, began: float) -> bool:
    """Run every step on a lab that is up.

    A step that can't go on ends the story there; what was checked until then is shown.

    Returns:
        Whether everything held.
    """
    story = _Story(out)
    store = EmbeddedDatastore.open(state.datastore)
    try:
        cluster = Cluster(store, [node.name for node in topology.nodes])
        clone = await asyncio.to_thread(Clone, state.path / "work", state.repository)
        demo = Demo(topology, state, cluster, clone, story.say, story.show)
        await _steps(demo, story, STEPS)
    finally:
        await store.close()
    story.table(time.monotonic() - began)
    return not story.failed


async def _steps(demo: Demo, story: _Story, steps: Sequence[Step]) -> None:
    for number, step in enumerate(steps, start=1):
        story.title(number, step)
        try:
            for check in await step.run(demo):
                story.result(number, check)
        except MuslinError as error:
            for problem in error.problems:
                story.show(problem)
            story.result(number, Check(step.title, held=False, measured="it did not go on", wanted="done"))
            return
