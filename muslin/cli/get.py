"""`get`: objects of a datastore as tables, YAML, JSON, or what a template makes of them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click

from muslin.cli.columns import Look, chosen_columns, columns_of
from muslin.cli.kinds import SHOWN_KINDS, ShownKind
from muslin.cli.options import Reach, reaching
from muslin.cli.printing import by_name, printable
from muslin.cli.scope import key_of, named_on_command_line
from muslin.cli.stored import mapping_at, text_at
from muslin.cli.tables import plain_table
from muslin.cli.wording import Ended, reference_text
from muslin.datastore.protocol import Datastore, Entry, Json, NotFound
from muslin.errors import BadInput, MuslinError, Problem, Unavailable
from muslin.resources.keys import Key

__all__ = ["get"]

_FORMATS = ("ps", "wide", "yaml", "json")
_NEED_VALUE = {
    "custom-columns": "need to specify at least one column",
    "go-template": "need to specify a template",
    "go-template-file": "need to specify a template file",
}
_ALWAYS_WITH_STATUS = frozenset({"KubeControllersConfiguration", "Node", "Tier"})
_NOT_EXPORTED = (
    "namespace", "uid", "resourceVersion", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds",
    "generation",
)  # fmt: skip


@click.command()
@click.argument("kind", required=False)
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option("-f", "--filename", metavar="FILE", help="Objects that a file, a folder or standard input (-) names.")
@click.option("-R", "--recursive", is_flag=True, help="With a folder: also the folders inside it.")
@click.option("--skip-empty", is_flag=True, help="Bear files without any object.")
@click.option(
    "-o", "--output", metavar="FORMAT", default="ps", show_default=True,
    help="ps, wide, yaml, json, custom-columns=HEADING,HEADING, go-template=TEMPLATE or go-template-file=FILE.",
)  # fmt: skip
@click.option("-n", "--namespace", metavar="NAME", help="Of namespaced kinds. [default]")
@click.option("-A", "-a", "--all-namespaces", is_flag=True, help="Of namespaced kinds: every namespace.")
@click.option("--export", is_flag=True, help="With NAMEs: without what a datastore adds, ready for another one.")
@reaching
def get(
    kind: str | None,
    names: tuple[str, ...],
    filename: str | None,
    *,
    recursive: bool,
    skip_empty: bool,
    output: str,
    namespace: str | None,
    all_namespaces: bool,
    export: bool,
    reach: Reach,
) -> None:
    r"""Show objects of KIND: all, or those with these NAMEs.

    KIND is singular, plural or short, in any case: ippool, pool, gnp, policies, node, wep ... and of the reconciler:
    reconcilerstatus, reconcilerledger. Objects are shown as they are stored, also those that break a rule. What of an
    object can't be used, such as an annotation that is no address, is told on standard error.

    \b
    muslin get ippools -o wide
    muslin get networkpolicy -A
    muslin get gnp default-deny -o yaml --export
    muslin get nodes -o custom-columns=NAME,ASN
    muslin get pools -o go-template='{{range .}}{{len .Items}}{{end}}'

    Exit status 1 if a NAME does not exist; those that do are shown all the same.
    """
    printer = _Printer.of(output)
    if namespace == "" and not reach.calicoctl:
        raise BadInput(Problem("the namespace is empty", "--namespace", "name one, or use --all-namespaces"))
    if filename is None:
        wanted = _wanted(kind, names, namespace or None, everywhere=all_namespaces)
    else:
        wanted = _of_files(filename, namespace, recursive=recursive, skip_empty=skip_empty)
        if not wanted:
            return
    if export and not names and not reach.calicoctl:
        raise BadInput(Problem("only named objects can be exported", "--export", "give their names"))
    read = asyncio.run(_read(reach, wanted))
    if export and names:
        read.values[:] = [_exported(value) for value in read.values]
    printer.show(read, namespaces=all_namespaces or bool(namespace))
    if reach.calicoctl and printer.tabular and read.values:
        click.echo()  # calicoctl leaves a line free after a table
    if not reach.calicoctl or reach.verbose:
        for problem in read.problems:
            click.echo("\n".join(map(printable, f"warning: {problem}".split("\n"))), err=True)
    if read.errors:
        line = "\n".join(reference_text(error) for error in read.errors)
        raise Ended(line, [problem for error in read.errors for problem in error.problems])


@dataclass(frozen=True, slots=True)
class _Wanted:
    """One object, or all of a kind (in a namespace, or in every one)."""

    kind: ShownKind
    name: str | None
    namespace: str | None


@dataclass(slots=True)
class _Read:
    """What one look at the datastore gave; a list is a value as well.

    `problems` is what of the objects can't be used: each once.
    """

    values: list[Json] = field(default_factory=list)
    errors: list[MuslinError] = field(default_factory=list)
    problems: dict[Problem, None] = field(default_factory=dict)
    look: Look = field(default_factory=Look)


def _wanted(kind: str | None, names: Sequence[str], namespace: str | None, *, everywhere: bool) -> list[_Wanted]:
    if kind is None:
        problem = Problem("no kind is given", "KIND", "for example `muslin get ippools`, or give a file with -f")
        raise Ended("No resources specified", problem, input_=True)
    shown = named_on_command_line(kind)
    if not shown.namespaced and (namespace is not None or everywhere):
        flag = "--all-namespaces" if everywhere else "--namespace"
        raise _scope_refused(f"{shown.name} is not namespaced", flag, "leave the flag out")
    if everywhere and namespace is not None:
        what = "cannot use both --namespace and --all-namespaces flags at the same time"
        raise _scope_refused(what, "--all-namespaces", "give one of the two")
    if everywhere and names:
        what = "cannot use --all-namespace flag for getting a single resource"
        raise _scope_refused(what, "--all-namespaces", "use --namespace NAME, or leave the names out")
    if not all(names):
        raise _scope_refused("resource name may not be empty", "NAME", "leave it out to see all")
    scope = None if everywhere or not shown.namespaced else (namespace or "default")
    return [_Wanted(shown, name, scope) for name in names] or [_Wanted(shown, None, scope)]


def _scope_refused(what: str, where: str, fix: str) -> Ended:
    return Ended(what, Problem(what, where, fix), input_=True)


def _of_files(filename: str, namespace: str | None, *, recursive: bool, skip_empty: bool) -> list[_Wanted]:
    from muslin.cli.documents import read_objects  # noqa: PLC0415 - named objects do without YAML

    keys = [key_of(each, namespace) for each in read_objects(filename, recursive=recursive, skip_empty=skip_empty)]
    return [_Wanted(SHOWN_KINDS[key.kind], key.name, key.namespace) for key in keys]


async def _read(reach: Reach, wanted: Sequence[_Wanted]) -> _Read:
    read = _Read()
    async with reach.store() as store:
        if any(each.kind.name == "Node" for each in wanted):
            read.look = await _look(store)
        for each in wanted:
            try:
                if each.name is None:
                    read.values.append(await _list(store, each, read))
                else:
                    entry = await store.get(Key(each.kind.name, each.name, each.namespace))
                    read.problems |= dict.fromkeys(entry.problems)
                    read.values.append(_named(entry))
            except Unavailable:
                raise
            except MuslinError as error:
                read.errors.append(_told(error))
    return read


def _told(error: MuslinError) -> MuslinError:
    if isinstance(error, NotFound):
        fix = f"see `muslin get {error.key.kind.lower()}`"
        return Ended(reference_text(error), Problem(f"{error.key} does not exist", str(error.key), fix))
    return error


async def _list(store: Datastore, wanted: _Wanted, read: _Read) -> Json:
    listing = await store.list(wanted.kind.name, namespace=wanted.namespace)
    read.problems |= {problem: None for entry in listing.entries for problem in entry.problems}
    return {
        "apiVersion": wanted.kind.api_version,
        "kind": f"{wanted.kind.name}List",
        "metadata": {"resourceVersion": listing.revision},
        "items": [_named(entry) for entry in listing.entries],
    }


def _named(entry: Entry) -> Json:
    """The object; where somebody wrote it without the kind or the name by which it is asked for, with that.

    Calicoctl shows a status of some kinds also where there is none, which is how Kubernetes and older writers keep it.
    """
    metadata, key, value = mapping_at(entry.value, "metadata"), entry.key, entry.value
    if key.kind in _ALWAYS_WITH_STATUS and value.get("status") is None and "spec" in value:
        value = {**value, "status": {}}
    if metadata.get("name") and value.get("kind") == key.kind:
        return value
    own = {"namespace": key.namespace} if key.namespace else {}
    return {**value, "kind": key.kind, "metadata": own | {**metadata, "name": metadata.get("name") or key.name}}


async def _look(store: Datastore) -> Look:
    try:
        value = (await store.get(Key("BGPConfiguration", "default"))).value
    except NotFound:
        return Look()
    except MuslinError:
        return Look("unknown")
    return Look(text_at(value, "spec", "asNumber") or Look().cluster_as)


def _exported(value: Json) -> Json:
    metadata = mapping_at(value, "metadata")
    return {**value, "metadata": {name: held for name, held in metadata.items() if name not in _NOT_EXPORTED}}


@dataclass(frozen=True, slots=True)
class _Printer:
    """One format, and what was given with it."""

    form: str
    argument: str = ""

    @classmethod
    def of(cls, output: str) -> _Printer:
        """The format that `-o` means. Raises Ended."""
        if output in _FORMATS:
            return cls(output)
        if output == "yml":
            return cls("yaml")
        form, _, argument = output.partition("=")
        if form not in _NEED_VALUE:
            what = f"unrecognized output format '{output}'"
            fix = f"use one of {', '.join(_FORMATS)}, {', '.join(f'{name}=...' for name in _NEED_VALUE)}"
            raise Ended(what, Problem(what, "--output", fix), input_=True)
        if not argument:
            what = _NEED_VALUE[form]
            raise Ended(what, Problem(what, "--output", f"write it behind {form}="), input_=True)
        return cls(form, argument)

    @property
    def tabular(self) -> bool:
        """Whether tables are printed."""
        return self.form in ("ps", "wide", "custom-columns")

    def show(self, read: _Read, *, namespaces: bool) -> None:
        """Print what was read. Raises Ended for a template that is wrong."""
        values = read.values
        match self.form:
            case "json" | "yaml":
                if values:
                    click.echo(_text(values[0] if len(values) == 1 else values, self.form), nl=False)
            case "go-template" | "go-template-file":
                click.echo(self._templated(read), nl=False)
            case _:
                self._tables(read, namespaces=namespaces)

    def _tables(self, read: _Read, *, namespaces: bool) -> None:
        """A table a kind; those of objects that were asked for by name together."""
        tables: dict[str, list[Json]] = {}
        for value in read.values:
            name = str(value.get("kind"))
            items = value.get("items") if name.endswith("List") else None
            tables.setdefault(name.removesuffix("List"), []).extend([value] if items is None else items)
        shown = []
        for name, objects in tables.items():
            namespaced = name in SHOWN_KINDS and SHOWN_KINDS[name].namespaced
            columns = (
                chosen_columns(name, self.argument.split(","))
                if self.form == "custom-columns"
                else columns_of(name, wide=self.form == "wide", namespace=namespaces and namespaced)
            )
            rows = [[column.cell(value, read.look) for column in columns] for value in objects]
            shown.append(plain_table([column.heading for column in columns], rows))
        if shown:
            click.echo("\n\n".join(shown))

    def _templated(self, read: _Read) -> str:
        from muslin.cli.template import TemplateFault, render  # noqa: PLC0415 - only for templates

        template, where = self.argument, "--output"
        if self.form == "go-template-file":
            where = self.argument
            try:
                template = Path(self.argument).read_text("utf-8")
            except (OSError, ValueError) as error:
                reason = error.strerror if isinstance(error, OSError) else str(error)
                line = f"open {self.argument}: {str(reason)[:1].lower()}{str(reason)[1:]}"
                what = f"the template can't be read: {reason}"
                raise Ended(line, Problem(what, where, "give a text file"), input_=True) from error
        try:
            return render(template, read.values, {"config": lambda _: read.look.cluster_as})
        except TemplateFault as fault:
            line = f"template: get:{fault.line}:{fault.column}: {fault.what}"
            fix = "see what there is with -o json; fields are named as there, or as in Go"
            place = f"{where}:{fault.line}:{fault.column}"
            raise Ended(line, Problem(fault.what, place, fix), input_=True) from fault


def _text(value: Any, form: str) -> str:
    if form == "json":
        return json.dumps(value, indent=2, default=str, ensure_ascii=False) + "\n"
    from muslin.yaml.write import dump  # noqa: PLC0415 - only here

    value = by_name(value)
    if isinstance(value, Mapping):
        return dump(value)
    # an item of a YAML list is the object's own text, two columns to the right
    texts = ["\n  ".join(dump(each).rstrip("\n").split("\n")) for each in value]
    return "".join(f"- {text}\n" for text in texts)
