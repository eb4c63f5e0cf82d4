"""The reader of the mirror: honest repositories, and hostile ones."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest

from muslin.errors import BadInput, Unavailable
from reconciler.combined import of_flags
from reconciler.commands import TRACKED
from reconciler.manifests import Reading, declarable
from reconciler.selection import Selection
from reconciler.source import GitSource
from reconciler.tree import Limits, folder
from tests.reconciler.cases import policy, policy_key, tier
from tests.reconciler.repositories import Tree, bare, commit, files_tree, git, mirror_of, raw_tree

_GOOD = ("100644", "good.yaml", policy("good"))


def read(mirror: Path, commit_id: str, path: Selection | str = ".", limits: Limits | None = None) -> Reading:
    """What a commit of a mirror declares."""

    async def scenario() -> Reading:
        source = GitSource(mirror, path, limits)
        try:
            return await source.read(commit_id)
        finally:
            await source.close()

    return asyncio.run(scenario())


def test_resources_come_with_their_places(tmp_path: Path) -> None:
    """Every manifest below the path is read, each resource with its place; other files are not looked at."""
    mirror = bare(tmp_path / "m")
    files = {
        "clusters/a/one.yaml": policy("one") + "---\n" + policy("two"),
        "clusters/a/deep/er/tier.yml": tier("ops"),
        "clusters/a/three.json": '{"apiVersion": "projectcalico.org/v3", "kind": "Tier", "metadata": {"name": "j"}}',
        "clusters/a/README.md": "not: a resource",
        "clusters/a/.github/workflow.yaml": "not: a resource",
        "clusters/b/bad.yaml": "kind: Nothing",
    }
    made = commit(mirror, files_tree(mirror, files), TRACKED)
    reading = read(mirror, made, "clusters/a")

    assert reading.problems == ()
    assert {str(key): str(each.place) for key, each in reading.resources.items()} == {
        "NetworkPolicy shop/one": "clusters/a/one.yaml:1:1",
        "NetworkPolicy shop/two": "clusters/a/one.yaml:15:1",
        "Tier ops": "clusters/a/deep/er/tier.yml:1:1",
        "Tier j": "clusters/a/three.json:1:1",
    }


def test_only_changed_files_are_parsed_again(tmp_path: Path) -> None:
    """A second commit that changes one of many files costs one parse, the same commit none, a packed mirror nothing."""
    mirror = bare(tmp_path / "m")
    files = {f"p{number}.yaml": policy(f"p{number}") for number in range(20)}
    first = commit(mirror, files_tree(mirror, files), TRACKED)

    async def scenario() -> list[int]:
        source = GitSource(mirror)
        counts = []
        await source.read(first)
        counts.append(source.parses)
        second = commit(mirror, files_tree(mirror, files | {"p3.yaml": policy("p3", order=4)}), TRACKED, parent=first)
        git(mirror, "repack", "-adq")
        git(mirror, "pack-refs", "--all")
        head = await source.head()
        assert head.commit == second
        for commit_id in (second, second, first):
            await source.read(commit_id)
            counts.append(source.parses)
        await source.close()
        return counts

    assert asyncio.run(scenario()) == [20, 21, 21, 21]


def test_a_look_at_rest_parses_nothing_and_asks_git_nothing(tmp_path: Path) -> None:
    """With nothing new, head and reading come from a small file and memory: also when git is gone, and at once."""
    mirror = bare(tmp_path / "m")
    made = commit(
        mirror, files_tree(mirror, {f"p{number}.yaml": policy(f"p{number}") for number in range(20)}), TRACKED
    )

    async def scenario() -> None:
        source = of_flags(mirror, Selection.of(exclude=["none.yaml"]))
        whole = (await source.head()).commit
        assert whole is not None
        first = await source.read(whole)
        assert len(first.resources) == 20
        (mirror / "objects").rename(mirror / "gone")
        used = time.process_time()
        for _ in range(10):
            assert (await source.head()).commit == whole
            assert await source.read(whole) is first
        used = (time.process_time() - used) / 10
        await source.close()
        assert used < 0.020
        assert whole.startswith(made)

    asyncio.run(scenario())


def test_all_problems_of_a_commit_are_told_at_once(tmp_path: Path) -> None:
    """Bad files, doubles and kinds that a repository must not set are all named, with their places."""
    mirror = bare(tmp_path / "m")
    files = {
        "a.yaml": policy("a"),
        "b.yaml": policy("a"),
        "c.yaml": "a: 1\na: 2\n",
        "d.yaml": policy("d").replace("order: 100", "order: high"),
        "e.yaml": "apiVersion: projectcalico.org/v3\nkind: IPAMBlock\nmetadata: {name: x}\n",
        "f.yaml": "apiVersion: reconciler.muslin/v1alpha1\nkind: Anything\nmetadata: {name: x}\n",
        "g.yaml": "apiVersion: projectcalico.org/v3\nkind: NetworkPolice\nmetadata: {name: x}\n",
        "h.yaml": "\x00\x01binary",
    }
    reading = read(mirror, commit(mirror, files_tree(mirror, files), TRACKED))
    told = "\n".join(map(str, reading.problems))

    assert {problem.where.split(":")[0] for problem in reading.problems} == {f"{name}.yaml" for name in "bcdefgh"}
    assert "declared twice, first at a.yaml:1:1" in told
    assert "a repository must not set IPAMBlock" in told
    assert all(problem.fix for problem in reading.problems)


_HOSTILE: dict[str, tuple[Tree, str]] = {
    "symlink": ([("120000", "x.yaml", "/etc/passwd")], "symlink"),
    "symlink to a folder": ([("120000", "sub", "..")], "symlink"),
    "submodule": ([("160000", "sub", "1" * 40)], "submodule"),
    "parent as a name": ([("100644", "..", "x")], "cannot be read"),
    "slash in a name": ([("100644", "../../etc/x.yaml", "x")], "cannot be read"),
    "empty name": ([("100644", "", "x")], "cannot be read"),
    "line feed in a name": ([("100644", "a\nb.yaml", "x")], "not a name"),
    "escape in a name": ([("100644", "a\x1b[2J.yaml", "x")], "not a name"),
    "no utf-8 in a name": ([("100644", "a\udcff.yaml", "x")], "not a name"),
    "an option as a name": ([("100644", "--upload-pack=x.yaml", "kind: X")], "X"),
    "case fold": ([("100644", "A.yaml", policy("a")), ("100644", "a.yaml", policy("b"))], "case"),
    "the same name twice": ([("100644", "a.yaml", policy("a")), ("100644", "a.yaml", policy("b"))], "case"),
    "unicode fold": ([("100644", "e\u0301.yaml", policy("a")), ("100644", "\u00e9.yaml", policy("b"))], "case"),
    "set-uid mode": ([("104755", "x.yaml", policy("a"))], "mode"),
    "group-writable": ([("100664", "x.yaml", policy("a"))], "mode"),
    "too large": ([("100644", "x.yaml", "a" * 70_000)], "is the limit"),
    "huge blob": ([("100644", "x.yaml", bytes(32 << 20))], "33554432 bytes"),
    "alias bomb": (
        [("100644", "x.yaml", "a: &a [1,1,1,1]\n" + "".join(
            f"{chr(98 + i)}: &{chr(98 + i)} [{', '.join(['*' + chr(97 + i)] * 9)}]\n" for i in range(12)
        ))],
        "alias",
    ),
    "deep nesting": ([("100644", "x.yaml", "[" * 40_000)], "deep"),
    "duplicate keys": ([("100644", "x.yaml", "kind: A\nkind: B\n")], "twice"),
    "binary": ([("100644", "x.yaml", bytes(range(256)))], ""),
    "tag that builds objects": ([("100644", "x.yaml", "!!python/object/apply:os.system ['id']")], ""),
}  # fmt: skip


@pytest.mark.parametrize("name", _HOSTILE)
def test_a_hostile_tree_is_a_problem_and_nothing_else(name: str, tmp_path: Path) -> None:
    """Whatever stands in a tree, reading it gives problems; the good file beside it is still read."""
    lines, told = _HOSTILE[name]
    mirror, commit_id = mirror_of(tmp_path / "m", [*lines, _GOOD])
    reading = read(mirror, commit_id, limits=Limits(file_bytes=64 << 10))

    assert reading.problems
    assert told in "\n".join(map(str, reading.problems))
    assert all(str(problem).isprintable() or "\n" in str(problem) for problem in reading.problems)
    assert "\x1b" not in "".join(map(str, reading.problems))
    if "cannot be read" not in told:
        assert policy_key("good") in reading.resources


def test_a_tree_that_costs_too_much_is_refused_early(tmp_path: Path) -> None:
    """Too many files, too many bytes together, too deep a folder and too large a tree object are problems."""
    mirror = bare(tmp_path / "m")
    tree = files_tree(mirror, {f"p{number}.yaml": policy(f"p{number}") for number in range(5)})
    flat = commit(mirror, tree, TRACKED)
    for _ in range(40):
        tree = raw_tree(mirror, [("40000", "d", tree)])
    deep = commit(mirror, tree, TRACKED)

    for commit_id, limits, told in (
        (flat, Limits(files=4), "more than 4 manifests"),
        (flat, Limits(all_bytes=500), "more than 500 bytes"),
        (flat, Limits(entries=3), "more than 3 names"),
        (flat, Limits(tree_bytes=100), "100 is the limit"),
        (deep, Limits(), "deeper than 32"),
    ):
        assert told in str(read(mirror, commit_id, limits=limits).problems[0])


def test_of_very_many_problems_the_first_are_told_and_the_others_counted(tmp_path: Path) -> None:
    """A tree of nothing but submodules fills neither a log nor a memory."""
    mirror, commit_id = mirror_of(tmp_path / "m", [("160000", f"s{at:04}", "1" * 40) for at in range(1_500)])
    problems = read(mirror, commit_id).problems

    assert [len(problems), problems[-1].what] == [1_001, "500 more problems are not told"]
    assert problems[999].where == "s0999"


def test_a_path_that_is_not_there_is_a_problem_and_not_an_empty_cluster(tmp_path: Path) -> None:
    """A missing folder, a file or symlink in its place, or a branch that points to a blob: problems."""
    mirror, commit_id = mirror_of(tmp_path / "m", [_GOOD, ("120000", "link", "."), ("100644", "file", "x")])
    for path in ("missing", "link", "file", "good.yaml/x"):
        assert "no folder" in str(read(mirror, commit_id, path).problems[0])
    content = git(mirror, "hash-object", "-w", "--stdin", stdin=b"x")
    assert "not a commit" in str(read(mirror, content).problems[0])
    for outside in ("/etc", "..", "a/../..", "a\nb"):
        with pytest.raises(BadInput):
            folder(outside)


def test_a_mirror_that_is_away_is_unavailable_and_heals(tmp_path: Path) -> None:
    """Without a mirror, or without the object, reading is to be tried again; nothing is taken for empty."""
    mirror = tmp_path / "m"

    async def scenario() -> None:
        source = GitSource(mirror)
        assert (await source.head()).commit is None
        with pytest.raises(Unavailable):
            await source.read("1" * 40)
        _, commit_id = mirror_of(mirror, [_GOOD])
        with pytest.raises(Unavailable):
            await source.read("1" * 40)
        assert set((await source.read(commit_id)).resources) == {policy_key("good")}
        await source.close()

    asyncio.run(scenario())


def test_kinds_that_are_state_are_not_declarable() -> None:
    """What allocators, agents and the reconciler write is no configuration; policies, pools and nodes are."""
    kinds = set(declarable())

    assert kinds.isdisjoint({"IPAMBlock", "BlockAffinity", "IPAMHandle", "WorkloadEndpoint", "CalicoNodeStatus"})
    assert kinds >= {"NetworkPolicy", "GlobalNetworkPolicy", "IPPool", "Tier", "Node", "BGPPeer", "FelixConfiguration"}
