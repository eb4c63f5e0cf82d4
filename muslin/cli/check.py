"""`muslin check`: all rules over a folder, offline, for people and for pipelines."""

from __future__ import annotations

from pathlib import Path

import click

from muslin.cli.check_reports import as_json, as_junit, as_sarif
from muslin.cli.check_rules import Checked, check_folder
from muslin.cli.printing import printable

__all__ = ["check"]

_FORMS = {"json": as_json, "junit": as_junit, "sarif": as_sarif}


@click.command()
@click.argument("folder", type=click.Path(path_type=Path), default=Path())
@click.option("-o", "--output", type=click.Choice(["text", *_FORMS]), default="text", show_default=True)
@click.option("--strict", is_flag=True, help="Warnings fail as well.")
def check(folder: Path, *, output: str, strict: bool) -> int:
    r"""Check what stands in FOLDER (here, if not given) without a datastore: files, references, pools, facts.

    Files go through the checks that a commit goes through. What names something must find it; pools must not overlap;
    the blueprint must say yes to facts; and resources beside facts that are not as decided are warnings.

    \b
    muslin check
    muslin check network -o junit > check.xml
    muslin check network -o sarif --strict > check.sarif

    Exit status: 0 nothing is wrong, 2 something is, 1 a file could not be read.
    """
    checked = check_folder(folder)
    if output == "text":
        _tell(checked)
    else:
        click.echo(_FORMS[output](checked, strict=strict))
    wrong = any(each.rule.is_error or strict for each in checked.findings)
    return 2 if wrong else 0


def _tell(checked: Checked) -> None:
    for each in checked.findings:
        severity = "error" if each.rule.is_error else "warning"
        click.echo(f"{severity}: {printable(each.what)}")
        click.echo(f"  where: {printable(str(each.place))}")
        click.echo(f"  fix:   {printable(each.fix)}")
        click.echo(f"  rule:  {each.source or each.rule.sentence}")
    errors = sum(each.rule.is_error for each in checked.findings)
    files = f"{len(checked.files)} file{'' if len(checked.files) == 1 else 's'}"
    click.echo(f"{files}: {errors} errors, {len(checked.findings) - errors} warnings")
