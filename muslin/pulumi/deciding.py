"""From what a program gives to a decided blueprint; what is wrong is told all at once, as Pulumi's own error.

Blueprints and models are imported here, inside functions: they cost as much to load as Pulumi itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from os import PathLike, fspath
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pulumi

from muslin.errors import BadInput, Problem
from muslin.pulumi.arguments import ReferenceNetworkArgs, is_password
from muslin.pulumi.refusals import Refused

if TYPE_CHECKING:
    from blueprints.decision import Blueprint
    from blueprints.facts import Facts
    from muslin.resources.places import Places

__all__ = ["Decided", "decided"]

_LARGEST_FILE: Final = 4 << 20
"""Bytes of a file of facts that are read; the YAML reader's own limit is lower."""


@dataclass(frozen=True, slots=True)
class Decided:
    """The facts and what follows from them."""

    facts: Facts
    blueprint: Blueprint


def decided(args: ReferenceNetworkArgs, *, installs: bool = False) -> Decided:
    """What the blueprint says of the facts.

    Args:
        args: as given to the component.
        installs: whether upstream is installed for it, which does not write the network's own objects.

    Raises:
        Refused: facts that are wrong, an architecture that says no, arguments that fit neither; with every problem.
    """
    from blueprints import catalogue, draft  # noqa: PLC0415 - see the module
    from blueprints.staged import staged  # noqa: PLC0415 - as above
    from muslin.resources.places import place_of  # noqa: PLC0415 - as above

    try:
        given, places, file = _facts(args.facts)
        _of_one_mind(args.blueprint, given.blueprint, str(place_of(("blueprint",), places, file)))
        name = args.blueprint or given.blueprint or draft.fitting(given)
        blueprint = catalogue.decide(given.model_copy(update={"blueprint": name}), places, file)
    except BadInput as refusal:
        raise Refused(refusal.problems) from None
    if installs:
        return Decided(given, blueprint)
    problems = [*_against(args, given, blueprint), *_at_once(args.stage, blueprint)]
    if problems:
        raise Refused(problems)
    return Decided(given, blueprint if args.stage is None else staged(blueprint, args.stage))


def _of_one_mind(program: str | None, facts: str | None, where: str) -> None:
    """Raise BadInput where the facts name another blueprint: `muslin explain` would tell of what is not written."""
    if program is not None and facts is not None and program != facts:
        fix = f"set blueprint: {program} in the facts, or copy the stack for {facts}"
        what = f"the program is for {program}, and its facts say {facts}"
        raise BadInput(Problem(what, where, fix))


def _at_once(stage: int | None, blueprint: Blueprint) -> list[Problem]:
    """What speaks against this stage: one must be named exactly where a running cluster must not change at once."""
    from blueprints.staged import stages_of  # noqa: PLC0415 - see the module

    count = len(stages_of(blueprint))
    if stage is not None and not 1 <= stage <= count:
        fix = f"1 to {count}" if count else "leave it out: nothing that runs has to change in stages"
        return [Problem(f"there is no stage {stage}", "stage", fix)]
    if stage is None and count:
        names = ", ".join(each.name for each in blueprint.procedures)
        fix = f"stage 1, pulumi up, and so on to stage {count}; muslin explain says what ends each"
        return [Problem(f"a running cluster must not change at once: {names}", "stage", fix)]
    return []


def _facts(given: Any) -> tuple[Facts, Places | None, str | None]:
    from blueprints import facts  # noqa: PLC0415 - see the module
    from muslin import yaml  # noqa: PLC0415 - as the others

    if isinstance(given, facts.Facts):
        return given, None, None
    if isinstance(given, Mapping):
        return facts.load(given, None, "facts"), None, "facts"
    if not isinstance(given, str | PathLike):
        fix = "give Facts, a mapping or the path of a cluster.yaml; they decide which resources there are"
        what = "an Output can't be the facts" if isinstance(given, pulumi.Output) else f"{type(given).__name__} is none"
        raise BadInput(Problem(what, "facts", fix))
    path = fspath(given)
    try:
        with Path(path).open("rb") as file:
            documents = yaml.load(file.read(_LARGEST_FILE + 1), path)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise BadInput(
            Problem(f"the facts can't be read: {reason}", path, "put the file beside the program, or give its path")
        ) from error
    if len(documents) != 1:
        what = f"there are {len(documents)} documents where one is meant" if documents else "the file is empty"
        raise BadInput(Problem(what, path, "describe one cluster in it, as docs/cluster.yaml does"))
    return facts.load(documents[0].value, documents[0].places, path), documents[0].places, path


def _against(args: ReferenceNetworkArgs, facts: Facts, blueprint: Blueprint) -> list[Problem]:
    """Arguments that do not go with the decisions."""
    problems = []
    storage = blueprint.decision("datastore").chosen
    if storage != "kubernetes":
        fix = "set datastore: kubernetes in the facts, or use muslin render and the reconciler"
        problems.append(Problem(f"Pulumi writes to Kubernetes, and the datastore is {storage}", "datastore", fix))
    secrets = (
        *(each.password_secret for each in facts.top_of_rack),
        *(each.password_secret for each in facts.external_reflectors),
    )
    named = {each for each in secrets if each is not None}
    for name, password in args.passwords.items():
        if not is_password(password):
            what = f"the password of {name} is not a text of 1 to 80 bytes"
            problems.append(Problem(what, f"passwords[{name}]", "give the password that the other side has"))
        if name not in named:
            known = ", ".join(sorted(map(str, named))) or "there is none"
            fix = f"name it as passwordSecret of a switch or reflector in the facts, or take it out (there: {known})"
            problems.append(Problem(f"no session uses the Secret {name!r}", f"passwords[{name}]", fix))
    there = {f"{each.kind}/{each.metadata.name}" for each in blueprint.resources}
    for argument, given in (("shared", args.shared), ("force", args.force)):
        if isinstance(given, str):
            problems.append(Problem(f"{argument} is one text", argument, f"give a list of texts: [{given!r}]"))
            continue
        for each in given:
            if each not in there:
                fix = f"one of {', '.join(sorted(there))}"
                problems.append(Problem(f"{each!r} is none of the blueprint's objects", argument, fix))
    return problems
