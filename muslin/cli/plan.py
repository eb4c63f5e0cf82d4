"""`muslin plan`: what files or a commit would change, and what that does to the network. Reads, and never writes."""

from __future__ import annotations

import asyncio
import gc
import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from muslin.cli.options import Reach, reaching
from muslin.cli.plan_text import tell
from muslin.cli.stored import value_at
from muslin.datastore.field_ownership import FieldOwnership
from muslin.datastore.protocol import NotFound
from muslin.errors import BadInput, Problem, Unavailable
from muslin.resources.keys import Key
from muslin.semantics.snapshot import Snapshot
from reconciler.addresses_in_use import effect as who_needs
from reconciler.effect.effect import NETWORK_MTU, Effect, effect
from reconciler.ledger import Ledger
from reconciler.local import read_folder
from reconciler.manifests import Reading
from reconciler.plan import Budget, hold
from reconciler.preview import preview
from reconciler.references import reference
from reconciler.remotes import is_object_id
from reconciler.report import Report
from reconciler.report_cluster import as_it_is, as_planned, between, exported, with_declared
from reconciler.report_markdown import markdown
from reconciler.selection import Selection

if TYPE_CHECKING:
    from muslin.datastore.protocol import Datastore

__all__ = ["plan"]


@click.command()
@click.argument("folder", required=False, type=click.Path(path_type=Path))
@click.option("--repo", type=click.Path(path_type=Path), help="A git repository, instead of FOLDER.")
@click.option("--from", "old", metavar="COMMIT", help="With --repo: what is there; asks no datastore.")
@click.option("--to", "new", metavar="COMMIT", help="With --repo: what is to be. [HEAD]")
@click.option("--path", "paths", multiple=True, help="With --repo: a folder inside that is read. Repeatable. [.]")
@click.option("--include", multiple=True, metavar="PATTERN", help="With --repo: as of `reconcile`. Repeatable.")
@click.option("--exclude", multiple=True, metavar="PATTERN", help="With --repo: as of `reconcile`. Repeatable.")
@click.option("--blueprint", "blueprints", multiple=True, help="May render facts in the files, as of `reconcile`.")
@click.option(
    "--endpoints", type=click.Path(path_type=Path), multiple=True, metavar="FILE",
    help="With --from: who lives there, as `muslin get -o yaml` or `kubectl get -o yaml` prints it. Repeatable.",
)  # fmt: skip
@click.option("--set", "set_name", default="default", show_default=True, help="Name of the ledger, as of `reconcile`.")
@click.option(
    "--max-deletes", type=click.FloatRange(0, 1), default=0.5, show_default=True, metavar="PART",
    help="Part of what is ours that one commit may remove, as of `reconcile`.",
)  # fmt: skip
@click.option(
    "--max-endpoints", type=click.IntRange(min=0), metavar="N",
    help="Endpoints that one commit's removals may concern, as of `reconcile`.",
)  # fmt: skip
@click.option("--allow-empty", is_flag=True, help="As of `reconcile`.")
@click.option(
    "--network-mtu", type=click.IntRange(576, 65535), default=NETWORK_MTU, show_default=True,
    help="MTU of the links between nodes, from which that of pods follows.",
)  # fmt: skip
@click.option("--exact-agents", is_flag=True, help="Compute every node's state, to count exactly who must act.")
@click.option("--full", is_flag=True, help="Leave nothing out: every path, node and name.")
@click.option(
    "-o", "--output", type=click.Choice(["text", "markdown", "json"]), default="text", show_default=True
)  # fmt: skip
@reaching
def plan(
    folder: Path | None,
    *,
    repo: Path | None,
    old: str | None,
    new: str | None,
    paths: tuple[str, ...],
    include: tuple[str, ...],
    exclude: tuple[str, ...],
    blueprints: tuple[str, ...],
    endpoints: tuple[Path, ...],
    set_name: str,
    max_deletes: float,
    max_endpoints: int | None,
    allow_empty: bool,
    network_mtu: int,
    exact_agents: bool,
    full: bool,
    output: str,
    reach: Reach,
) -> int:
    r"""Show what the manifests in FOLDER, if they were pushed, would change in a datastore. Nothing is written.

    The files go through the checks that a commit goes through; FOLDER is what `reconcile --path` names. Steps are
    listed in the order in which they would be taken. Drift, what somebody else changed, is listed apart: the
    reconciler puts it back in any case.

    Then it tells what the change does: who may talk to whom anew or no more, which BGP sessions and prefixes come and
    go, whose addresses lose their pool, which MTU new pods get, how many agents must act.

    \b
    muslin plan . --datastore lab.db
    muslin plan clusters/a -o json | jq .effect.traffic.opened.pairs
    muslin plan --repo . --from main --to HEAD --endpoints pods.yaml -o markdown

    Exit status: 0 the datastore is as the files say, 2 it is not, 1 a file is wrong or something failed.
    """
    select = Selection.of(paths or (".",), include, exclude, blueprints)
    asked = _Asked(folder, repo, old, new, select, endpoints)
    asked.check()
    budget = Budget(part=max_deletes, endpoints=max_endpoints, allow_empty=allow_empty)
    look = _Look(set_name, budget, network_mtu, exact_agents)
    report = asyncio.run(_offline(asked, look) if old is not None else _live(reach, asked, look))
    if output == "json":
        click.echo(json.dumps(report.to_json(full=full), indent=2, default=str))
    elif output == "markdown":
        click.echo(markdown(report, full=full), nl=False)
    else:
        tell(report, full=full)
    return 2 if report.changes else 0


@dataclass(frozen=True, slots=True)
class _Asked:
    """What the plan is to be of."""

    folder: Path | None
    repo: Path | None
    old: str | None
    new: str | None
    select: Selection
    endpoints: tuple[Path, ...]

    def check(self) -> None:
        """Raise BadInput for what does not go together."""
        if self.select.blueprints:
            from blueprints.catalogue import BLUEPRINTS  # noqa: PLC0415 - for who renders nothing

            for name in sorted(self.select.blueprints - set(BLUEPRINTS)):
                fix = f"use one of {', '.join(BLUEPRINTS)}"
                raise BadInput(Problem(f"there is no blueprint {name!r}", "--blueprint", fix))
        if self.folder is None and self.repo is None:
            fix = "give a folder with manifests, or a repository with --repo"
            raise BadInput(Problem("missing argument 'FOLDER', and there is no --repo", "FOLDER", fix))
        if self.folder is not None and self.repo is not None:
            raise BadInput(Problem("there is a folder and a repository", "FOLDER, --repo", "give one of the two"))
        chosen = replace(self.select, blueprints=frozenset()) != Selection()
        if self.repo is None and (self.old is not None or self.new is not None or chosen):
            raise BadInput(Problem("there is no repository", "--from, --to, --path", "add --repo"))
        if self.endpoints and self.old is None:
            what = "a plan against a datastore takes its endpoints from there"
            raise BadInput(Problem(what, "--endpoints", "add --from, or leave it out"))


@dataclass(frozen=True, slots=True)
class _Look:
    """How it is looked at."""

    set_name: str
    budget: Budget
    network_mtu: int
    exact_agents: bool

    def effect(self, before: Snapshot, after: Snapshot) -> Effect:
        """What a change does, told with these settings."""
        gc.freeze()  # both clusters stay until we end: looking for garbage among them is a third of all the time
        try:
            return effect(before, after, network_mtu=self.network_mtu, state=_state if self.exact_agents else None)
        finally:
            gc.unfreeze()


def _state(snapshot: Snapshot, node: str) -> object:
    from runtime.calc.compute import compute  # noqa: PLC0415 - only where it is asked for

    return replace(compute(snapshot, node), revision="", problems=())


async def _live(reach: Reach, asked: _Asked, look: _Look) -> Report:
    """Against a datastore: what the steps that would really be taken do to the cluster that is really there."""
    if asked.folder is not None:
        reading = _readable(read_folder(asked.folder, name=str(asked.folder), blueprints=asked.select.blueprints))
    else:
        from reconciler.combined import named  # noqa: PLC0415 - a plan of a folder does without git

        (reading,) = await _commits(asked, asked.new or "HEAD")
        reading = replace(reading, commit=named(reading.commit, asked.select))
    async with reach.store(gate=False) as store:
        if isinstance(store, FieldOwnership):
            store.show_owners()  # a reviewer wants to know whose each field is, whatever it costs
        ledger = await Ledger.load(store, look.set_name)
        proposed = await preview(store, reading, look.set_name)
        needed = await who_needs(store, proposed, look.budget)
        found = hold(proposed, len(reading.resources), len(ledger.owned), look.budget, needed)
        told: Effect | None = None
        unread: tuple[Problem, ...] = ()
        if proposed.steps or proposed.course is not None:
            before, unread = await as_it_is(store)
            after, wrong = as_planned(before, proposed)
            told, unread = look.effect(before, after), (*unread, *wrong)
        return Report(
            proposed, told, accepted=ledger.accepted, held=found, paused=await _is_paused(store), unread=unread,
            probes=tuple(map(str, reading.probes)),
        )  # fmt: skip


async def _is_paused(store: Datastore) -> bool:
    try:
        cluster = (await store.get(Key("ClusterInformation", "default"))).value
    except NotFound:
        return False
    return value_at(cluster, "spec", "datastoreReady") is False


async def _offline(asked: _Asked, look: _Look) -> Report:
    """Between two commits; who lives in the cluster is told by files."""
    before, after = await _commits(asked, asked.old or "", asked.new or "HEAD")
    people = Snapshot.of(each for file in asked.endpoints for each in exported(_content(file), str(file)))
    proposed = between(before, after)
    told = look.effect(with_declared(people, before), with_declared(people, after))
    probes, former = tuple(map(str, after.probes)), tuple(map(str, before.probes))
    gone = tuple(each for each in former if each not in probes)
    return Report(proposed, told, origin=before.commit, probes=probes, probes_gone=gone)


def _content(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise BadInput(Problem(f"the file cannot be read: {error.strerror}", str(file), "give another one")) from error


async def _commits(asked: _Asked, *names: str) -> list[Reading]:
    from reconciler.source import GitSource  # noqa: PLC0415 - a plan of a folder does without git

    assert asked.repo is not None
    own = _of_git(asked.repo)
    folder = _pointed(own / "commondir", own) or own
    source = GitSource(folder, asked.select)
    try:
        commits = [await source.commit_of(_commit(folder, own / "HEAD", name)) for name in names]
        return [_readable(await source.read(commit)) for commit in commits]
    except Unavailable as error:
        told = error.problems[0]
        fix = "fetch what is missing: `git fetch --unshallow` of a shallow clone, `fetch-depth: 0` in a pipeline"
        raise Unavailable(Problem(told.what, told.where, fix)) from error
    finally:
        await source.close()


def _of_git(repository: Path) -> Path:
    """What git keeps of a working copy, also of a second one or of a submodule; or a bare repository itself."""
    inner = repository / ".git"
    return inner if inner.is_dir() else _pointed(inner, repository, "gitdir: ") or repository


def _pointed(file: Path, beside: Path, before: str = "") -> Path | None:
    """The folder that a small file of git names, None where there is no such file."""
    try:
        text = file.read_text("utf-8").strip()
    except (OSError, ValueError):
        return None
    return beside / text.removeprefix(before) if text.startswith(before) else None


def _commit(repository: Path, head: Path, name: str) -> str:
    """The id that a name means, as the files of a repository say: a branch, a tag, a remote's branch, HEAD, an id."""
    if is_object_id(name):
        return name
    if name == "HEAD":
        try:
            text = head.read_text("ascii").strip()
        except (OSError, ValueError):
            text = ""
        at, _, target = text.partition("ref: ")
        found = reference(repository, target) if target else at if is_object_id(at) else None
    else:
        places = (name, f"refs/heads/{name}", f"refs/tags/{name}", f"refs/remotes/{name}")
        ok = ".." not in name and not name.startswith("/")
        candidates = (reference(repository, place) for place in places if place.startswith("refs/"))
        found = next(filter(None, candidates), None) if ok else None
    if found is None:
        fix = "give a branch, a tag, or a commit's 40 digits: git rev-parse NAME says them"
        raise BadInput(Problem(f"{name!r} is no commit of this repository", str(repository), fix))
    return found


def _readable(reading: Reading) -> Reading:
    if reading.problems:
        raise BadInput(reading.problems)
    return reading
