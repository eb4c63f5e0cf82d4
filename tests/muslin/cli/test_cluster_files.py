"""`explain` and `render` of the example that users start from; what is rendered is read by all that read files."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from muslin import resources
from muslin.yaml import load
from reconciler.local import read_folder
from tests.muslin.cli.running import Cluster, Run

EXAMPLE = Path(__file__).parents[3] / "docs" / "cluster.yaml"
_EXPECTED = Path(__file__).parent / "expected"


def _same(name: str, actual: str, request: pytest.FixtureRequest) -> None:
    expected = _EXPECTED / name
    if request.config.getoption("--update-expected"):
        expected.parent.mkdir(exist_ok=True)
        expected.write_text(actual)
    assert expected.read_text() == actual


def test_explain_tells_each_decision_with_its_reason(
    run: Run, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The table in a pipe: plain characters, nothing cut off, no blanks at the ends."""
    monkeypatch.chdir(EXAMPLE.parent)
    ran = run("explain", EXAMPLE.name)

    assert (ran.status, ran.err) == (0, "")
    _same("explain.txt", ran.out, request)
    assert ran.out.isascii()
    assert not [line for line in ran.out.splitlines() if line != line.rstrip()]


def test_render_writes_the_same_text_every_time(
    run: Run, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The whole output of the example, decisions as comments above the fields that they cause."""
    monkeypatch.chdir(EXAMPLE.parent)
    ran = run("render", EXAMPLE.name)

    assert (ran.status, ran.err) == (0, "")
    _same("render.txt", ran.out, request)


def test_one_decision_in_full(run: Run) -> None:
    """`--why` in any case gives inputs, alternatives, consequence and source; JSON gives the same as values."""
    ran = run("explain", EXAMPLE, "--why", "ENCAPSULATION")
    told = json.loads(run("explain", EXAMPLE, "--why", "encapsulation", "-o", "json").out)

    assert ran.out.startswith("encapsulation: no encapsulation\n\nRule ")
    assert [word in ran.out for word in ("Because of", "Not chosen", "Consequence", "Source", "Sets IPPool")] == [
        True
    ] * 5
    assert [decision["chosen"] for decision in told] == ["no encapsulation"]


@pytest.mark.parametrize(
    "network", [None, "{bgp: true, vxlan: true, podAddresses: false}", "{bgp: true, ipip: true, podAddresses: false}"]
)
def test_every_rendered_file_is_read_back_without_a_problem(run: Run, tmp_path: Path, network: str | None) -> None:
    """Whatever encapsulation is decided, files load through the YAML reader and the models, alone and as a commit."""
    head, _, tail = EXAMPLE.read_text().partition("\nnetwork:\n")
    facts = tmp_path / "facts.yaml"
    facts.write_text(
        EXAMPLE.read_text()
        if network is None
        else f"{head}\nnetwork: {network}\n\n{tail[tail.index('# The addresses of pods') :]}"
    )
    ran = run("render", facts, "--out", tmp_path / "out")
    assert (ran.status, ran.err) == (0, "")
    written = [Path(line) for line in ran.out.splitlines() if line.endswith(".yaml")]
    loaded = [
        resources.load(document.value, document.places, str(path))
        for path in written
        for document in load(path.read_bytes(), str(path))
    ]
    reading = read_folder(tmp_path / "out")

    assert len(loaded) == len(written) >= 3
    assert (reading.problems, set(reading.resources)) == ((), {each.key for each in loaded})


def test_what_is_rendered_can_be_planned(run: Run, cluster: Cluster, tmp_path: Path) -> None:
    """Explain, render, plan: the way of a newcomer up to the push."""
    run("render", EXAMPLE, "--out", tmp_path / "net", "--group", "network")
    ran = run("plan", tmp_path / "net", "--datastore", cluster.file)

    assert ran.status == 2
    assert "create IPPool default-ipv4-ippool  network/ip-pools.yaml:" in ran.out


def test_rendering_leaves_other_files_alone(run: Run, tmp_path: Path) -> None:
    """A second run replaces what it writes and nothing else."""
    own = tmp_path / "out" / "network" / "own.yaml"
    own.parent.mkdir(parents=True)
    own.write_text("# mine\n")
    (own.parent / "bgp.yaml").write_text("old")
    ran = run("render", EXAMPLE, "--out", tmp_path / "out")

    assert (ran.status, own.read_text()) == (0, "# mine\n")
    assert (own.parent / "bgp.yaml").read_text() != "old"


@pytest.mark.parametrize(
    ("changed", "blueprint"),
    [
        ({}, "single_subnet"),
        ({"plannedNodes: 40": "plannedNodes: 80"}, "route_reflectors"),
        ({"subnets: [192.0.2.0/24]": "subnets: [192.0.2.0/25, 192.0.2.128/25]"}, "multi_subnet"),
    ],
)
def test_a_file_without_a_blueprint_gets_the_one_that_fits(
    run: Run, tmp_path: Path, changed: dict[str, str], blueprint: str
) -> None:
    """Nobody needs to know their names to begin with."""
    text = EXAMPLE.read_text().replace("\nblueprint: single_subnet\n", "\n")
    for old, new in changed.items():
        assert old in text
        text = text.replace(old, new, 1)
    (tmp_path / "cluster.yaml").write_text(text)
    ran = run("explain", tmp_path / "cluster.yaml")

    assert (ran.status, ran.out.splitlines()[0]) == (0, f"{blueprint} for example")
