"""Folders and filters of a repository."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from muslin.errors import BadInput
from reconciler.selection import Selection
from tests.reconciler.cases import policy
from tests.reconciler.repositories import Tree, bare, commit, files_tree, raw_tree
from tests.reconciler.test_source import read

_FILES = {
    f"{folder}/{name}.yaml": policy(f"{folder.replace('/', '-')}-{name}")
    for folder in ("a", "a/deep/er", "b", "c")
    for name in ("one", "two")
}


def _names(tmp_path: Path, select: Selection) -> set[str]:
    mirror = bare(tmp_path / "m")
    reading = read(mirror, commit(mirror, files_tree(mirror, _FILES), "refs/heads/x"), select)
    assert reading.problems == ()
    return {key.name for key in reading.resources}


@pytest.mark.parametrize(
    ("select", "names"),
    [
        (Selection.of(["a", "b"]), {"a-one", "a-two", "a-deep-er-one", "a-deep-er-two", "b-one", "b-two"}),
        (Selection.of(["a", "c"], exclude=["**/two.yaml"]), {"a-one", "a-deep-er-one", "c-one"}),
        (Selection.of(include=["*/one.yaml"]), {"a-one", "b-one", "c-one"}),
        (Selection.of(include=["a/**"], exclude=["a/deep"]), {"a-one", "a-two"}),
        (Selection.of(["a"], include=["**/er/t?o.yaml"]), {"a-deep-er-two"}),
    ],
)
def test_folders_and_patterns_choose_files(select: Selection, names: set[str], tmp_path: Path) -> None:
    """Several folders are read together; `*` stays within a folder, `**` does not; what is excluded is not there."""
    assert _names(tmp_path, select) == names


def test_what_is_chosen_and_is_not_there_is_a_problem_and_never_an_empty_set(tmp_path: Path) -> None:
    """A renamed folder beside one that is there, and a pattern that matches nothing, hold the commit."""
    mirror = bare(tmp_path / "m")
    made = commit(mirror, files_tree(mirror, _FILES), "refs/heads/x")

    assert "no folder gone" in str(read(mirror, made, Selection.of(["a", "gone"])).problems[0])
    assert "no manifest matches" in str(read(mirror, made, Selection.of(include=["a/*.yml"])).problems[0])


def test_excluded_names_are_not_looked_at_and_included_ones_do_not_hide_a_link(tmp_path: Path) -> None:
    """A symlink or submodule is a problem also where only some files are read, unless it is excluded by name."""
    mirror = bare(tmp_path / "m")
    lines: Tree = [("100644", "a.yaml", policy("a")), ("120000", "l.yaml", "a.yaml"), ("160000", "sub", "1" * 40)]
    made = commit(mirror, raw_tree(mirror, lines), "refs/heads/x")

    assert len(read(mirror, made, Selection.of(include=["a.yaml"])).problems) == 2
    assert read(mirror, made, Selection.of(exclude=["l.yaml", "sub"])).problems == ()


def test_a_selection_that_makes_no_sense_is_refused() -> None:
    """Folders outside or inside each other, none at all, and patterns that are none."""
    cases: tuple[dict[str, list[str]], ...] = (
        {"paths": ["a", "a/b"]}, {"paths": ["a", "."]}, {"paths": ["../x"]}, {"paths": ["/x"]}, {"paths": []},
        {"include": [""]}, {"exclude": ["/x"]}, {"include": ["a\nb"]}, {"include": ["a\\b"]},
    )  # fmt: skip
    for bad in cases:
        with pytest.raises(BadInput) as caught:
            Selection.of(**bad)
        assert all(problem.fix for problem in caught.value.problems)


def test_the_mark_tells_selections_apart() -> None:
    """All of a repository has no mark; the order of what is written does not matter, what is written does."""
    marks = [Selection.of(["a"]), Selection.of(["b"]), Selection.of(["a"], ["x"]), Selection.of(["a"], (), ["x"]),
             Selection.of(["a"], blueprints=["single_subnet"])]  # fmt: skip

    assert Selection.of().mark == ""
    assert Selection.of(["a", "b"]).mark == Selection.of(["b", "a"]).mark
    assert len({each.mark for each in marks}) == len(marks)


def test_no_path_makes_a_pattern_take_long() -> None:
    """Many stars against a long name that almost matches cost next to nothing."""
    select = Selection.of(include=["**/" * 8 + "*a" * 20 + "b.yaml"])
    begun = time.process_time()

    assert not select.includes("/".join(["a" * 40] * 25))
    assert time.process_time() - begun < 0.5
