"""`muslin render --stage`: the files of one stage, where a running cluster must not change at once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import click

from blueprints.decision import Blueprint
from blueprints.staged import FILE_OF, staged, stages_of
from muslin.errors import BadInput, Problem

__all__ = ["in_stage", "left_over"]


def in_stage(decided: Blueprint, stage: int | None, *, writing: bool) -> Blueprint:
    """The blueprint as it is in a stage; as decided where nothing that runs is in the way.

    Args:
        decided: what to write.
        stage: which was asked for.
        writing: whether files are written, that somebody may push; else they are only shown, with a warning.

    Raises:
        BadInput: a stage must be named, or is not there.
    """
    stages = stages_of(decided)
    if stage is not None and not stages:
        what = "nothing that runs has to change in stages"
        raise BadInput(Problem(what, "--stage", "leave it out, or say under `running` what runs"))
    if stage is not None and not 1 <= stage <= len(stages):
        raise BadInput(Problem(f"there is no stage {stage}", "--stage", f"1 to {len(stages)}"))
    if stage is not None:
        return staged(decided, stage)
    if stages:
        names = ", ".join(each.name for each in decided.procedures)
        if writing:
            what = f"a running cluster must not change at once: {names}"
            fix = f"--stage 1, push, and so on to --stage {len(stages)}; `muslin explain` says what ends each"
            raise BadInput(Problem(what, "--out", fix))
        click.echo(f"warning: do not push this at once ({names}): render it with --stage 1 to {len(stages)}", err=True)
    return decided


def left_over(folder: Path, texts: Mapping[str, str]) -> Iterator[Path]:
    """Files of an earlier rendering for which this one has nothing: what stands in them would stay in force."""
    kept = {folder / path for path in texts}
    for path in FILE_OF.values():
        place = folder / path
        beside = sorted(place.parent.glob(f"{place.stem}-*.yaml")) if place.parent.is_dir() else []
        known = (each for each in beside if each.stem.removeprefix(f"{place.stem}-").isdecimal())
        yield from (each for each in (place, *known) if each not in kept and each.is_file())
