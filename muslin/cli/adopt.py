"""`muslin adopt`: hand the objects of a Pulumi stack over to the reconciler, or back: explicit, one way at a time."""

from __future__ import annotations

import asyncio
import json
import shlex
import shutil
import subprocess
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from muslin.cli.blueprint import read_text
from muslin.cli.options import Reach, reaching
from muslin.cli.printing import printable
from muslin.cli.pulumi_state import Exported, marked, read_state
from muslin.errors import BadInput, Failed, Problem

if TYPE_CHECKING:
    from muslin.kubernetes.client import KubernetesClient
    from muslin.resources.keys import Key

__all__ = ["adopt"]

_PATCHED: Final = "muslin"
_LIMIT_S: Final = 120


@click.command()
@click.argument("stack")
@click.option("--back", is_flag=True, help="The other way: from the reconciler to the stack's program.")
@click.option("--set", "set_name", default="default", show_default=True, help="Name of the ledger, as of `reconcile`.")
@reaching
def adopt(stack: str, *, back: bool, set_name: str, reach: Reach) -> int:
    r"""Hand the objects of the Pulumi stack STACK over to the reconciler; with --back, the reconciler's to the stack.

    STACK is the file that `pulumi stack export --file` wrote, or the stack's name: then `pulumi` is asked, in this
    folder. Before anything else every object is marked to stay when the stack goes (`retainOnDelete`). Then what
    Pulumi manages of each goes to the reconciler, which takes it over as soon as a commit declares it. No object is
    changed or made anew. It can be repeated.

    \b
    pulumi config set retain true
    muslin adopt prod
    muslin adopt --back prod

    Exit status: 0 all have changed hands, 1 not all, 2 wrong input, or the stack must be marked first.
    """
    if back:
        return asyncio.run(_back(reach, stack, set_name))
    exported = _exported(stack)
    return asyncio.run(_over(reach, exported, set_name))


def _exported(stack: str) -> Exported:
    """The stack, marked. Raises BadInput with the next command where a person has to import the mark."""
    if not (stack == "-" or Path(stack).is_file()):
        return _through_pulumi(stack)
    exported = read_state(read_text(stack), stack)
    if not exported.unmarked:
        return exported
    names = ", ".join(each.name for each in exported.unmarked[:3])
    more = f" and {len(exported.unmarked) - 3} more" if len(exported.unmarked) > 3 else ""
    path = Path("stack.json" if stack == "-" else stack).with_suffix(".marked.json")
    path.touch(mode=0o600)  # as exported it may hold secrets
    path.write_text(json.dumps(marked(exported), indent=2) + "\n", "utf-8")
    name, file, again = (shlex.quote(each) for each in (exported.stack, str(path), stack))
    fix = (
        f"pulumi stack import --stack {name} --file {file} && pulumi stack export --stack {name} --file {again}"
        f" && muslin adopt {again}"
    )
    raise BadInput(Problem(f"{names}{more} would be deleted with the stack; {path} marks them to stay", stack, fix))


def _through_pulumi(stack: str) -> Exported:
    """Export, mark where that is missing, import: with the `pulumi` on the PATH, in this folder."""
    where = f"pulumi stack export --stack {shlex.quote(stack)}"
    exported = read_state(_pulumi("stack", "export", "--stack", stack, where=stack), where)
    if exported.unmarked:
        _pulumi("stack", "import", "--stack", stack, where=stack, given=json.dumps(marked(exported)))
        exported = read_state(_pulumi("stack", "export", "--stack", stack, where=stack), where)
    if exported.unmarked:
        what = f"{exported.unmarked[0].name} is still not marked to stay"
        raise Failed(Problem(what, where, "pulumi config set retain true, then pulumi up, and try again"))
    return exported


def _pulumi(*arguments: str, where: str, given: str | None = None) -> str:
    program = shutil.which("pulumi")
    if program is None:
        fix = "give the file that `pulumi stack export --file` wrote on the machine that has pulumi"
        raise BadInput(Problem(f"{where} is no file, and there is no pulumi on the PATH to ask", where, fix))
    try:
        done = subprocess.run(
            [program, *arguments, "--non-interactive"],
            input=given, capture_output=True, text=True, timeout=_LIMIT_S, check=False,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Failed(Problem(f"pulumi did not answer: {error}", " ".join(arguments), "run it by hand")) from error
    if done.returncode:
        said = " ".join(done.stderr.split())[-300:]
        raise Failed(Problem(f"pulumi said: {said}", " ".join(arguments), "run it by hand in the program's folder"))
    return done.stdout


async def _over(reach: Reach, exported: Exported, set_name: str) -> int:
    from reconciler.ledger import Ledger  # noqa: PLC0415 - with the store
    from reconciler.ownership import manager_of  # noqa: PLC0415 - as above
    from reconciler.pulumi_owned import handed_over  # noqa: PLC0415 - as above

    async with reach.store(gate=False) as store:
        client = await _client(store)
        ledger = await Ledger.load(store, set_name)
        strangers = [each for each in exported.objects if each.key is not None and each.key in ledger.others]
        if strangers:
            raise BadInput(
                Problem(
                    f"{each.name} belongs to the set {ledger.others[each.key]}",
                    f"--set {set_name}",
                    "declare it in one set only",
                )
                for each in strangers
                if each.key is not None
            )
        keys = [each.key for each in exported.objects if each.key is not None]
        moved, failed = await _each(client, keys, lambda _, raw: handed_over(raw, manager_of(set_name)))
    others = [each.name for each in exported.objects if each.key is None]
    for key in moved:
        click.echo(f"the reconciler's now: {printable(str(key))}")
    _tell_failed(failed)
    click.echo(f"{len(moved)} of {len(keys)} have changed hands, {len(keys) - len(moved) - len(failed)} had already.")
    if others:
        click.echo(f"They stay in the cluster, and nobody writes them: {printable(', '.join(others))}.")
    if not failed:
        name = shlex.quote(exported.stack)
        click.echo(
            "\nNext, and before anybody runs `pulumi up` again:\n"
            "  muslin plan .                            the files must declare all of them: take over, no change\n"
            f"  pulumi destroy --stack {name}            drops them from the state; marked, they stay\n"
            f"  pulumi stack rm {name}"
        )
    return 1 if failed else 0


async def _back(reach: Reach, stack: str, set_name: str) -> int:
    from reconciler.ledger import Ledger  # noqa: PLC0415 - with the store
    from reconciler.ownership import manager_of  # noqa: PLC0415 - as above
    from reconciler.pulumi_owned import handed_back  # noqa: PLC0415 - as above

    async with reach.store(gate=False) as store:
        client = await _client(store)
        ledger = await Ledger.load(store, set_name)
        owned = sorted(ledger.owned)
        if not owned:
            what = f"the reconciler of the set {set_name} owns nothing here"
            raise BadInput(Problem(what, "--set", "name the set; `muslin status` shows those that have reported"))
        reconciler = manager_of(set_name)
        moved, failed = await _each(
            client, owned, lambda key, raw: handed_back(raw, ledger.owned[key].applied or {}, reconciler)
        )
        let_go = [key for key in owned if key not in {each for each, _ in failed}]
        await ledger.change(dict.fromkeys(let_go))
    for key in moved:
        click.echo(f"Pulumi's now: {printable(str(key))}")
    _tell_failed(failed)
    click.echo(f"{len(let_go)} of {len(owned)} are no longer the reconciler's: it leaves them, whatever files declare.")
    if not failed:
        click.echo(
            "\nNext:\n"
            "  pulumi config set retain false\n"
            f"  pulumi up --stack {shlex.quote(stack)}              adopts them as they are\n"
            "Then take them out of the repository's files."
        )
    return 1 if failed else 0


def _tell_failed(failed: Iterable[tuple[Key, Problem]]) -> None:
    for key, problem in failed:
        click.echo(f"not done: {printable(f'{key}: {problem.what}; {problem.fix}')}", err=True)


async def _client(store: Any) -> KubernetesClient:
    """The API below the store, which must have the definitions that Pulumi's objects are of. Raises BadInput."""
    from muslin.conversion.kinds import ApiGroup  # noqa: PLC0415 - with the store
    from muslin.datastore.kubernetes.store import KubernetesDatastore  # noqa: PLC0415 - as above

    if not isinstance(store, KubernetesDatastore):
        fix = "name the cluster: --context, a kubeconfig, or DATASTORE_TYPE=kubernetes"
        raise BadInput(Problem("Pulumi's objects are in Kubernetes, and this datastore is another", "datastore", fix))
    if await store.api_group() is not ApiGroup.V3:
        fix = "update Calico to 3.32 with native definitions"
        raise BadInput(Problem("the cluster does not serve projectcalico.org/v3", "datastore", fix))
    return store.client


async def _each(
    client: KubernetesClient, keys: Iterable[Key], patch_of: Callable[[Key, dict[str, Any]], list[dict[str, Any]]]
) -> tuple[list[Key], list[tuple[Key, Problem]]]:
    """(Who was patched, who could not be); one that is gone needs nothing."""
    from muslin.conversion.kinds import native_path  # noqa: PLC0415 - with the store
    from muslin.kubernetes import errors as api  # noqa: PLC0415 - with the client
    from muslin.kubernetes.client import PatchType  # noqa: PLC0415 - as above

    moved: list[Key] = []
    failed: list[tuple[Key, Problem]] = []
    for key in keys:
        try:
            path = native_path(key)
            patch = patch_of(key, await client.get(path))
            if patch:
                await client.patch(path, patch, how=PatchType.JSON, field_manager=_PATCHED)
                moved.append(key)
        except api.NotFound:
            continue
        except api.ApiError as error:
            failed.append((key, error.problems[0]))
    return moved, failed
