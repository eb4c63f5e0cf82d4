"""What is written is read back as it was meant, and no file is larger than a repository's may be."""

from __future__ import annotations

from pathlib import Path

import pytest

from blueprints.catalogue import BLUEPRINTS
from blueprints.emit import read_back, render
from blueprints.staged import in_files, written_to
from muslin.cli.render_stages import left_over
from muslin.errors import Failed
from tests.blueprints.clusters import facts, nodes_in

_SWITCHES = [{"name": "t", "address": "203.0.113.254", "asNumber": 64500, "racks": ["r0"]}]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("nodeSelector: !has(route-reflector)\n", "can't be read"),
        ("nodeSelector: has(route-reflector) # comment\n", "read as something else"),
        ("", "read as something else"),
    ],
)
def test_what_is_read_otherwise_is_not_written(text: str, words: str) -> None:
    """A trap of YAML that the writer would step into is a failure, not a file."""
    with pytest.raises(Failed, match=words):
        read_back(text, [{"nodeSelector": "!has(route-reflector)"}], "network/bgp-peers.yaml")


def test_what_is_read_so_is_written() -> None:
    """The same text comes back."""
    text = "nodeSelector: '!has(route-reflector)'\n"

    assert read_back(text, [{"nodeSelector": "!has(route-reflector)"}], "network/bgp-peers.yaml") == text


def test_many_nodes_stand_in_several_files() -> None:
    """Each once, in order, and every file of a size that the reconciler reads."""
    given = facts(**nodes_in(1001, racks=1), topOfRack=_SWITCHES, hostEndpoints={"operators": ["198.51.100.0/24"]})
    blueprint = BLUEPRINTS["top_of_rack"](given, None, None)
    files = {path: held for path, held in blueprint.files.items() if held[0].kind in ("Node", "HostEndpoint")}

    assert {path: len(held) for path, held in files.items()} == {
        "network/nodes.yaml": 1000,
        "network/nodes-2.yaml": 1,
        "hosts/endpoints.yaml": 1000,
        "hosts/endpoints-2.yaml": 1,
    }
    declared = [each.metadata.name for held in files.values() for each in held if each.kind == "Node"]
    assert declared == [node.name for node in given.nodes]
    assert list(in_files("network/nodes.yaml", ())) == []


@pytest.mark.slow
def test_a_file_of_the_longest_names_is_small_enough() -> None:
    """1,000 nodes whose names have 240 characters."""
    nodes = [
        {"name": f"n{index:04}{'.abcd' * 47}", "address": f"10.0.{index // 250}.{index % 250 + 1}", "rack": "r" * 60}
        for index in range(1000)
    ]
    switches = [{**_SWITCHES[0], "racks": ["r" * 60], "nodeASNumber": 4200000000}]
    told = {"nodes": nodes, "subnets": ["10.0.0.0/16"], "hostEndpoints": {"operators": ["198.51.100.0/24"]}}
    texts = render(BLUEPRINTS["top_of_rack"](facts(**told, topOfRack=switches), None, None))

    assert max(len(text) for text in texts.values()) < 1 << 20


@pytest.mark.parametrize(
    ("kind", "file", "ours"),
    [
        ("Node", "network/nodes.yaml", True),
        ("Node", "network/nodes-2.yaml", True),
        ("Node", "network/nodes-mine.yaml", False),
        ("Node", None, False),
        ("GlobalNetworkPolicy", "network/nodes.yaml", False),
    ],
)
def test_which_files_are_ours(kind: str, file: str | None, *, ours: bool) -> None:
    """Those with a number too, and no other beside them."""
    assert written_to(kind, file) is ours


def test_what_an_earlier_rendering_left(tmp_path: Path) -> None:
    """Files that are not written any more are named, numbered ones too; people's own are not."""
    (tmp_path / "network").mkdir()
    for name in ("nodes.yaml", "nodes-2.yaml", "nodes-mine.yaml", "bgp.yaml"):
        (tmp_path / "network" / name).write_text("")

    found = left_over(tmp_path, {"network/bgp.yaml": "", "network/nodes.yaml": ""})
    assert [each.name for each in found] == ["nodes-2.yaml"]
