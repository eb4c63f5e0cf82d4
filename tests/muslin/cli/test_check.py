"""`muslin check`: each rule from both sides, in words and in the forms that other programs read."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from muslin.cli.check_rules import Rule
from tests.muslin.cli.running import Run

_ROOT = Path(__file__).parents[3]
_PEER = """\
apiVersion: projectcalico.org/v3
kind: BGPPeer
metadata: {name: out}
spec: {peerIP: 192.0.2.254, asNumber: 64500, filters: [none-such]}
"""
_POOL = """\
apiVersion: projectcalico.org/v3
kind: IPPool
metadata: {name: second}
spec: {cidr: 10.48.64.0/18}
"""


@pytest.fixture
def folder(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The example's facts, and what follows from them."""
    monkeypatch.chdir(tmp_path)
    Path("cluster.yaml").write_text((_ROOT / "docs" / "cluster.yaml").read_text())
    assert run("render", "cluster.yaml", "--out", ".").status == 0
    return tmp_path


def _break(folder: Path, rule: Rule) -> tuple[str, int]:
    """Break one rule; gives file and line where it is to be told."""
    match rule:
        case Rule.READABLE:
            (folder / "broken.yaml").write_text("kind: IPPool\n  cidr: x\n")
            return "broken.yaml", 2
        case Rule.REFERENCES:
            (folder / "peer.yaml").write_text(_PEER)
            return "peer.yaml", 1
        case Rule.POOLS_APART:
            (folder / "pool.yaml").write_text(_POOL)
            return "pool.yaml", 1
        case Rule.DECIDABLE:
            text = (folder / "cluster.yaml").read_text()
            (folder / "cluster.yaml").write_text(text.replace("plannedNodes: 40", "plannedNodes: 80"))
            return "cluster.yaml", 21
        case Rule.AS_DECIDED:
            pools = folder / "network" / "ip-pools.yaml"
            pools.write_text(pools.read_text().replace("blockSize: 26", "blockSize: 27"))
            return "network/ip-pools.yaml", 1


def test_what_is_rendered_is_right(run: Run, folder: Path) -> None:
    """Nothing is found in what a blueprint wrote."""
    ran = run("check", folder, "--strict")

    assert (ran.status, ran.out, ran.err) == (0, "4 files: 0 errors, 0 warnings\n", "")


@pytest.mark.parametrize("rule", Rule)
def test_each_rule_is_told_with_its_line(run: Run, folder: Path, rule: Rule) -> None:
    """Rule, file and line; errors fail, warnings with --strict only."""
    file, line = _break(folder, rule)
    ran = run("check", folder, "-o", "json")
    (found,) = json.loads(ran.out)["findings"]

    assert (found["rule"], found["file"], found["line"]) == (rule.value, file, line)
    assert found["fix"]
    assert ran.status == (2 if rule.is_error else 0)
    assert run("check", folder, "--strict").status == 2
    assert f"{'error' if rule.is_error else 'warning'}: {found['what']}" in run("check", folder).out


def test_what_is_missing_or_left_over_is_told(run: Run, folder: Path) -> None:
    """A group of which a part is gone, and an object in a file of the blueprint's that nobody decides any more."""
    (folder / "network" / "bgp.yaml").unlink()
    (folder / "network" / "bgp-peers.yaml").write_text(_PEER.replace(", filters: [none-such]", ""))
    (folder / "mine.yaml").write_text(_PEER.replace(", filters: [none-such]", "").replace("out", "mine"))
    found = json.loads(run("check", folder, "-o", "json").out)["findings"]

    assert [(each["file"], each["what"].partition(",")[0]) for each in found] == [
        ("cluster.yaml", "BGPConfiguration default is decided by cluster.yaml"),
        ("network/bgp-peers.yaml", "BGPPeer out is not decided by cluster.yaml"),
    ]


def test_a_group_that_is_not_pushed_yet_is_not_missed(run: Run, folder: Path) -> None:
    """The default policy comes later."""
    (folder / "default-policy" / "default-deny.yaml").unlink()

    assert run("check", folder, "--strict").status == 0


def test_strict_reports_fail_as_the_exit_status_does(run: Run, folder: Path) -> None:
    """In each form what is a warning otherwise is an error."""
    _break(folder, Rule.AS_DECIDED)
    told = {form: run("check", folder, "--strict", "-o", form).out for form in ("json", "junit", "sarif")}

    assert json.loads(told["json"])["findings"][0]["severity"] == "error"
    assert ET.fromstring(told["junit"]).get("failures") == "1"
    assert json.loads(told["sarif"])["runs"][0]["results"][0]["level"] == "error"


def test_several_come_at_once(run: Run, folder: Path) -> None:
    """All rules broken: every finding, in the order of files."""
    for rule in (Rule.READABLE, Rule.REFERENCES, Rule.POOLS_APART, Rule.AS_DECIDED):
        _break(folder, rule)
    found = json.loads(run("check", folder, "-o", "json").out)["findings"]

    assert [each["rule"] for each in found] == ["Readable", "AsDecided", "References", "PoolsApart"]


def test_junit_counts_failures(run: Run, folder: Path) -> None:
    """A case for each file and rule, the broken ones with a failure that says what and where."""
    file, _ = _break(folder, Rule.POOLS_APART)
    _break(folder, Rule.AS_DECIDED)
    suites = ET.fromstring(run("check", folder, "-o", "junit").out)
    failed = [case for case in suites.iter("testcase") if case.find("failure") is not None]

    assert (suites.get("tests"), suites.get("failures")) == (str(5 * len(Rule)), "1")
    assert [(case.get("classname"), case.get("name")) for case in failed] == [("muslin.PoolsApart", file)]
    assert len(list(suites.iter("system-out"))) == 1


def test_sarif_points_at_lines(run: Run, folder: Path) -> None:
    """Version, rules, and a result with level and region."""
    file, line = _break(folder, Rule.REFERENCES)
    log = json.loads(run("check", folder, "-o", "sarif").out)
    (told,) = log["runs"]
    (result,) = told["results"]

    assert log["version"] == "2.1.0"
    assert {each["id"] for each in told["tool"]["driver"]["rules"]} == {rule.value for rule in Rule}
    assert (result["ruleId"], result["level"]) == ("References", "error")
    assert result["locations"] == [
        {"physicalLocation": {"artifactLocation": {"uri": file}, "region": {"startLine": line, "startColumn": 1}}}
    ]


def test_sarif_s_names_are_references(run: Run, tmp_path: Path) -> None:
    """A file's name may hold anything; code scanning wants a URI, and sentences end once."""
    (tmp_path / 'a "b" ü.yaml').write_text(
        "apiVersion: projectcalico.org/v3\nkind: IPPool\n"
        "metadata: {name: a}\nspec: {cidr: 192.0.2.0/24, ipipMod: Always}\n"
    )
    (told,) = json.loads(run("check", tmp_path, "-o", "sarif").out)["runs"]
    (result,) = told["results"]

    assert result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] == "a%20%22b%22%20%C3%BC.yaml"
    assert result["message"]["text"] == "unknown field 'ipipMod'. Did you mean ipipMode?"


def test_a_folder_that_is_not_there(run: Run, tmp_path: Path) -> None:
    """It is wrong usage."""
    ran = run("check", tmp_path / "none")

    assert (ran.status, "there is no folder" in ran.err) == (2, True)


def test_the_pipeline_of_the_page_runs(run: Run, folder: Path) -> None:
    """Every command of docs/ci.md succeeds in the folder of the example, and its table names every rule."""
    page = (_ROOT / "docs" / "ci.md").read_text("utf-8")
    commands = [
        line
        for block in re.findall(r"^```sh\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
        for line in block.splitlines()
    ]

    assert (folder / "cluster.yaml").exists()
    assert len(commands) == 6
    assert [run(*shlex.split(line)[1:]).status for line in commands] == [0] * 6
    assert re.findall(r"^\| `(\w+)`", page, re.MULTILINE) == [rule.value for rule in Rule]
