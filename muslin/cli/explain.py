"""`muslin explain`: what a blueprint decides about a cluster, and why."""

from __future__ import annotations

import json
import sys

import click
from rich import box
from rich.table import Table

from blueprints.decision import Blueprint, Decision
from muslin.cli.blueprint import decide
from muslin.cli.printing import printable
from muslin.cli.tables import console, print_wrapped
from muslin.errors import BadInput, Problem

__all__ = ["decisions_table", "explain", "print_decision"]


@click.command()
@click.argument("cluster", metavar="CLUSTER.YAML")
@click.option(
    "--blueprint",
    help="single_subnet, multi_subnet, full_ipip, vxlan, route_reflectors, top_of_rack, routable_pods,"
    " routable_services, or several with + between them. Default: the file's own, else what fits.",
)
@click.option("--why", metavar="DECISION", help="One decision in full: inputs, alternatives, consequence, source.")
@click.option(
    "-o", "--output", type=click.Choice(["table", "json"]), default="table", show_default=True, help="How to print."
)
def explain(cluster: str, blueprint: str | None, why: str | None, output: str) -> None:
    r"""Show what is decided about the cluster that CLUSTER.YAML describes, and why. Reads files only.

    CLUSTER.YAML states facts (nodes, subnets, what the network lets through); `-` reads standard input. An example
    with comments to start from is docs/cluster.yaml.

    \b
    muslin explain cluster.yaml
    muslin explain cluster.yaml --why encapsulation
    muslin explain cluster.yaml -o json

    Exit status 2 where the file is wrong or the reference architecture says no; every reason is given, with the line
    that causes it.
    """
    decided = decide(cluster, blueprint)
    chosen = decided.decisions
    if why is not None and output == "table" and _in_stages(decided, why):
        return
    if why is not None:
        chosen = tuple(decision for decision in chosen if decision.name.lower() == why.lower())
        if not chosen:
            known = ", ".join([*(each.name for each in decided.decisions), *(each.name for each in decided.procedures)])
            raise BadInput(Problem(f"there is no decision {why!r}", "--why", f"one of: {known}"))
    if output == "json":
        click.echo(json.dumps([_json(decision) for decision in chosen], indent=2, default=str))
    elif why is not None:
        print_decision(chosen[0])
    else:
        click.echo(f"{decided.name} for {decided.cluster}")
        print_wrapped(decisions_table(chosen))
        for change in decided.procedures:
            click.echo(f"Not at once, but in {len(change.stages)} stages: {change.name}")
        click.echo(f"In full: muslin explain {printable(cluster)} --why DECISION")


def _in_stages(decided: Blueprint, name: str) -> bool:
    """Print a procedure in full, if one has this name."""
    from blueprints.emit import procedure_text  # noqa: PLC0415 - the table needs none of it

    first = 1
    for each in decided.procedures:
        if each.name.lower() == name.lower():
            for line in procedure_text(each, first).splitlines():
                click.echo(printable(line))
            return True
        first += len(each.stages)
    return False


def decisions_table(decisions: tuple[Decision, ...]) -> Table:
    """One line a decision: question, answer, reason."""
    table = Table(box=box.SIMPLE_HEAD if sys.stdout.isatty() else None, pad_edge=False)
    table.add_column("DECISION", overflow="fold")
    table.add_column("CHOSEN", overflow="fold", max_width=24)
    table.add_column("BECAUSE", overflow="fold")
    for decision in decisions:
        table.add_row(decision.name, decision.chosen, decision.rule)
    return table


def print_decision(decision: Decision) -> None:
    """One decision in full."""
    out = console(markup=False)
    out.print(f"{decision.name}: {decision.chosen}\n")
    out.print(f"Rule         {decision.rule}")
    out.print(f"Consequence  {decision.consequence}")
    out.print(f"Source       {decision.source}")
    if decision.override is not None:
        out.print(f"Overridden   {printable(decision.override)}")
    if decision.inputs:
        out.print("\nBecause of")
        for name, value in decision.inputs.items():
            out.print(f"  {name}: {value}")
    if decision.alternatives:
        out.print("\nNot chosen")
        for alternative in decision.alternatives:
            out.print(f"  {alternative.name}: {alternative.against}")
    for key, path in decision.fields:
        out.print(f"\nSets {key}  {'.'.join(str(part) for part in path)}")


def _json(decision: Decision) -> dict[str, object]:
    return {
        "name": decision.name,
        "chosen": decision.chosen,
        "rule": decision.rule,
        "inputs": dict(decision.inputs),
        "alternatives": [{"name": each.name, "against": each.against} for each in decision.alternatives],
        "consequence": decision.consequence,
        "source": decision.source,
        "override": decision.override,
        "fields": [{"object": str(key), "path": list(path)} for key, path in decision.fields],
    }
