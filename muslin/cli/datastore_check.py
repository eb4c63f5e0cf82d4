"""`datastore check`: what does not fit together in a datastore, and with `--fix` the repair of what is safe."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Iterable, Sequence
from typing import Any

import click

from muslin.cli.ipam_check import services_of
from muslin.cli.options import Reach, reaching
from muslin.cli.printing import printable
from muslin.cli.tables import plain_table
from muslin.datastore.check import Look, repair
from muslin.datastore.check import check as checked
from muslin.datastore.initialize import CLUSTER_INFORMATION
from muslin.datastore.protocol import Datastore
from muslin.errors import BadInput, MuslinError, Problem
from muslin.ipam.findings import Using
from muslin.semantics.inconsistency import Inconsistency

__all__ = ["check"]

_ROUNDS = 3
"""A block can be given up when its addresses are released: one repair makes room for the next."""

_Repaired = tuple[Inconsistency, MuslinError | None]


@click.command()
@click.option("-o", "--output", type=click.Choice(["table", "json"]), default="table", show_default=True)
@click.option("--fix", is_flag=True, help="Repair what is safe, after showing it. The datastore must be locked.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--force", is_flag=True, help="Repair although the datastore is not locked.")
@click.option("--kubeconfig", metavar="FILE", help="Of the cluster, where the datastore is another: for its services.")
@reaching
def check(*, output: str, fix: bool, yes: bool, force: bool, kubeconfig: str | None, reach: Reach) -> int:
    r"""Find what does not fit together: addresses, blocks, handles, pools, nodes that are gone, names of nothing.

    Safe repairs are of address management only: releasing addresses that nobody uses, handles and affinities that stand
    for nothing, counts, blocks of nodes that are gone. Each is done only if nothing has changed since it was seen.

    \b
    muslin datastore check
    muslin datastore migrate lock && muslin datastore check --fix && muslin datastore migrate unlock

    Exit status: 0 all fits, 1 something does not (also after --fix), 2 wrong usage.
    """
    return asyncio.run(_check(reach, output=output, fix=fix, yes=yes, force=force, kubeconfig=kubeconfig))


async def _check(reach: Reach, *, output: str, fix: bool, yes: bool, force: bool, kubeconfig: str | None) -> int:
    async def services(store: Datastore) -> list[Using] | None:
        return await services_of(store, kubeconfig)

    async with reach.store() as store:
        seen = await checked(store, services)
        outcome: list[_Repaired] = []
        if output == "table":
            _print(seen)
        if fix and any(each.repair for each in seen.found):
            _refuse_unlocked(seen, force=force)
            if _agreed(seen, yes=yes, told=output == "table"):
                for _ in range(_ROUNDS):
                    done = await repair(store, seen.found)
                    outcome += done
                    seen = await checked(store, services)
                    if not done or not any(each.repair for each in seen.found):
                        break
                if output == "table":
                    _print_repairs(outcome)
                    _print(seen)
        if output == "json":
            click.echo(json.dumps(_json(seen, outcome), indent=2))
    return 1 if seen.found else 0


def _refuse_unlocked(seen: Look, *, force: bool) -> None:
    if not seen.locked and not force:
        what = "the datastore is not locked: an address that is being given out now could be taken for a leaked one"
        fix = "muslin datastore migrate lock, repair, then unlock; or use --force where nobody works"
        raise BadInput(Problem(what, str(CLUSTER_INFORMATION), fix))


def _agreed(seen: Look, *, yes: bool, told: bool) -> bool:
    """Whether somebody said yes. Raises BadInput where nobody can be asked."""
    if yes:
        return True
    if not told or not sys.stdin.isatty():
        raise BadInput(Problem("nobody is there to be asked", "--fix", "look at what it tells, then add --yes"))
    count = sum(1 for each in seen.found if each.repair)
    return click.confirm(f"Repair {count} of them?", default=False)


def _print(seen: Look) -> None:
    if not seen.found:
        click.echo(f"{seen.objects} objects looked at: all fits together.")
        return
    rows = [_row(each) for each in _sorted(seen.found)]
    click.echo(plain_table(["REASON", "OBJECT", "WHAT", "FIX"], rows))
    repairable = sum(1 for each in seen.found if each.repair)
    told = f"; --fix repairs {repairable} of them" if repairable else ""
    click.echo(f"\n{seen.objects} objects looked at: {len(seen.found)} things do not fit together{told}.")


def _row(each: Inconsistency) -> list[str]:
    fix = f"{each.fix} (--fix)" if each.repair else each.fix
    return [each.reason.value, printable(str(each.key)), printable(each.what), printable(fix)]


def _print_repairs(outcome: Sequence[_Repaired]) -> None:
    for each, error in outcome:
        told = "repaired" if error is None else f"not repaired: {error.problems[0].what}"
        click.echo(printable(f"{each.reason.value} {each.key}: {told}"))
    click.echo()


def _json(seen: Look, outcome: Sequence[_Repaired]) -> dict[str, Any]:
    return {
        "objects": seen.objects,
        "locked": seen.locked,
        "problems": [_problem(each) for each in _sorted(seen.found)],
        "repairs": [
            _problem(each) | {"repaired": error is None, "error": None if error is None else error.problems[0].what}
            for each, error in outcome
        ],
    }


def _problem(each: Inconsistency) -> dict[str, Any]:
    return {
        "reason": each.reason.value,
        "kind": each.key.kind,
        "namespace": each.key.namespace,
        "name": each.key.name,
        "what": each.what,
        "fix": each.fix,
        "repairable": each.repair is not None,
    }


def _sorted(found: Iterable[Inconsistency]) -> list[Inconsistency]:
    return sorted(found, key=lambda each: (each.reason.value, str(each.key), each.what))
