"""`muslin explain`: what a blueprint decides about a cluster, and why."""

from __future__ import annotations

import json
from typing import Final

import click

from blueprints.decision import Blueprint, Decision
from muslin.cli.blueprint import decide
from muslin.cli.printing import printable
from muslin.cli.tables import wrapped_table
from muslin.errors import BadInput, Problem
from muslin.resources.problems import nearest

__all__ = ["explain"]

_WIDEST: Final = 24
"""Of a column before the last; most answers are shorter."""


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
            known = [*(each.name for each in decided.decisions), *(each.name for each in decided.procedures)]
            meant = nearest(why, known)
            fix = f"did you mean {meant}?" if meant else f"one of: {', '.join(known)}"
            raise BadInput(Problem(f"there is no decision {why!r}", "--why", fix))
    if output == "json":
        click.echo(json.dumps([_json(decision) for decision in chosen], indent=2, default=str))
    elif why is not None:
        _print_decision(chosen[0])
    else:
        click.echo(f"{decided.name} for {decided.cluster}")
        rows = [[each.name, each.chosen, each.rule] for each in chosen]
        click.echo(wrapped_table(["DECISION", "CHOSEN", "BECAUSE"], rows, _WIDEST))
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


def _print_decision(decision: Decision) -> None:
    """One decision in full."""
    lines = [
        f"{decision.name}: {decision.chosen}",
        "",
        f"Rule         {decision.rule}",
        f"Consequence  {decision.consequence}",
        f"Source       {decision.source}",
    ]
    lines += [f"Overridden   {decision.override}"] if decision.override is not None else []
    if decision.inputs:
        lines += ["", "Because of", *(f"  {name}: {value}" for name, value in decision.inputs.items())]
    if decision.alternatives:
        lines += ["", "Not chosen", *(f"  {each.name}: {each.against}" for each in decision.alternatives)]
    for key, path in decision.fields:
        lines += ["", f"Sets {key}  {'.'.join(str(part) for part in path)}"]
    for line in lines:
        click.echo(printable(line))


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
