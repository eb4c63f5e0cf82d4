"""A plan as text for a terminal: readable without colour, and in a pipe."""

from __future__ import annotations

from collections.abc import Iterator

import click

from muslin.cli.printing import field_lines, printable, short_commit
from muslin.cli.stages import course_lines
from muslin.cli.tables import print_wrapped
from reconciler.plan import Action, Cause, Owner, Step
from reconciler.report import DATASTORE, Report
from reconciler.report_fields import Field, WhyField, fields
from reconciler.report_markdown import DEEDS, totals
from reconciler.report_words import Section, closing_lines, sections

__all__ = ["tell"]

_COLOURS = {"+": "green", "-": "red", "~": "yellow"}


def tell(report: Report, *, full: bool) -> None:
    """Print all of it; the last line counts."""
    proposed = report.plan
    if report.origin == DATASTORE:
        click.echo(f"Files in {printable(short_commit(proposed.commit))}; in force is {short_commit(report.accepted)}.")
    else:
        click.echo(f"From {short_commit(report.origin)} to {short_commit(proposed.commit)}; no datastore was asked.")
    if proposed.course is not None:
        click.echo()
        for line in course_lines(proposed.course.to_json(), full=full):
            click.echo(line)
        click.echo(f"\nWhat follows is {printable(proposed.course.title)}; what it does to the network is told of all.")
    numbered = list(enumerate(report.steps(), 1))
    width = len(str(len(numbered)))
    for heading, cause in (
        ("Changes, in this order:", Cause.CHANGE),
        ("Drift, which somebody else caused and the reconciler puts back:", Cause.DRIFT),
    ):
        steps = [(number, step) for number, step in numbered if step.cause is cause]
        if steps:
            click.echo(f"\n{heading}")
        for number, step in steps:
            click.echo(f"\n{number:>{width + 2}}. {_title(step)}")
            for line in _details(step):
                click.secho(f"{'':{width + 4}}{line}", fg=_COLOURS.get(line[0]))
    _tell_left(report)
    if report.effect is not None and (proposed.steps or proposed.course):
        _tell_effect(report, full=full)
    if len(report.order()) > 1:
        click.echo("\nLevels, one after the other:")
        for line in report.order():
            click.echo(f"  {line}")
    _tell_probes(report)
    if (proposed.steps or proposed.course) and report.digest is not None:
        click.echo(f"\nTo approve this plan and no other: muslin approve {report.digest}")
    click.echo(f"\n{totals(proposed)}")


def _tell_probes(report: Report) -> None:
    """Gates that people have asked for."""
    if report.probes:
        click.echo(
            "\nProbes, before the first change, between levels and after the last, if `reconcile --probes` lets:"
        )
    for each in report.probes:
        click.echo(f"  {printable(each)}")
    if report.probes_gone:
        click.echo("\nProbes that are not asked any more:")
    for each in report.probes_gone:
        click.echo(f"  {printable(each)}")


def _tell_left(report: Report) -> None:
    """What is not done, and why not all may be."""
    proposed = report.plan
    if proposed.blocked:
        click.echo("\nNot done:")
    for each in proposed.blocked:
        click.echo(f"\n  {printable(each.problem.what)} ({each.why.value})\n    fix: {printable(each.problem.fix)}")
    if proposed.drifted:
        click.echo("\nLeft as somebody changed it, as the settings say:\n")
    for drifted in proposed.drifted:
        click.echo(f"  {printable(str(drifted.key))}: {printable(', '.join(each.path for each in drifted.fields))}")
    if proposed.forget:
        click.echo("\nStay as they are, and are no longer ours:\n")
    for key in proposed.forget:
        click.echo(f"  {printable(str(key))}")
    if report.held is not None:
        reason, problem = report.held
        click.echo(f"\nThe reconciler would hold this commit: {printable(problem.what)} ({reason.value})")
        click.echo(f"  fix: {printable(problem.fix)}")
    if report.paused:
        click.echo("\nThe reconciler is paused: datastoreReady is false in ClusterInformation default.")
    if report.unread:
        click.echo("\nNot read, and taken as missing:\n")
    for each_problem in report.unread:
        click.echo(f"  {printable(each_problem.where)}: {printable(each_problem.what)}")


def _tell_effect(report: Report, *, full: bool) -> None:
    found = report.effect
    assert found is not None
    if not found.endpoints:
        click.echo("\nNo endpoints are known, so nothing is told of traffic.")
    elif not found:
        told = " that can be told" if found.unjudged else ""
        seen = f"{found.endpoints:,} endpoints looked at"
        click.echo(f"\nNo traffic, session, prefix, address or MTU changes{told} ({seen}).")
    else:
        click.echo(f"\nWhat this does to the network ({found.endpoints:,} endpoints looked at):")
    for section in sections(found, full=full):
        click.echo(f"\n{printable(section.title)}{':' if section.rows else ''}")
        if section.rows:
            _table(section)
        if section.left_out:
            click.echo(f"  {section.left_out}; --full shows all")
    lines = tuple(closing_lines(found, full=full))
    if lines:
        click.echo()
    for line in lines:
        click.echo(printable(line))


def _table(section: Section) -> None:
    from rich import box  # noqa: PLC0415 - many plans have no table
    from rich.table import Table  # noqa: PLC0415

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, padding=(0, 1), header_style="bold")
    for heading in section.headings:
        number = heading in ("pairs", "addresses in use", "of them workloads'")
        table.add_column(heading, justify="right" if number else "left", no_wrap=number, overflow="fold")
    for row in section.rows:
        table.add_row(*map(printable, row))
    print_wrapped(table)


def _title(step: Step) -> str:
    place = "" if step.place is None else f"  {step.place}"
    return printable(f"{DEEDS[step.action]} {step.key}{place}")


def _details(step: Step) -> Iterator[str]:
    if step.action is Action.DELETE:
        yield "- it is ours, and no file declares it any more"
    if step.owner is Owner.SOMEBODY_ELSE:
        yield "  it is there already and nobody's in this ledger: from now on it is ours"
    if step.action is Action.CREATE and step.cause is Cause.DRIFT:
        yield "  somebody removed it"
    for each in fields(step):
        for line in field_lines([(each.path, each.old, each.new)]):
            if not line.startswith(("+ metadata.name: ", "+ metadata.namespace: ")):  # the title says it
                yield f"{line}{_whose(step, each)}"


def _whose(step: Step, field: Field) -> str:
    """Who has the field now, where that is not who the step says anyway."""
    if field.old is None or step.owner is Owner.SOMEBODY_ELSE or field.why is WhyField.CHANGED_BY_OTHERS:
        named = field.owner not in (Owner.US.value, Owner.NOBODY.value, Owner.SOMEBODY_ELSE.value)
        return f"  (now of {printable(field.owner)})" if named else ""
    return "" if field.owner == Owner.US.value else f"  (now of {printable(field.owner)})"
