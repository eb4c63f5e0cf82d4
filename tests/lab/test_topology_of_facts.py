"""The lab that facts describe: their nodes and subnets as data, and what this version does not carry, told."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import pytest

from blueprints.catalogue import decide
from blueprints.draft import fitting
from muslin.errors import BadInput
from muslin.lab import verbs
from muslin.lab.namespaces import plan
from muslin.lab.topology import OUTSIDE, ROUTER, SWITCH, Topology
from muslin.lab.topology_of_facts import topology_of_facts
from tests.blueprints.clusters import facts, nodes_in
from tests.muslin.cli.running import Run

_TWO: dict[str, Any] = {
    "nodes": [
        {"name": "oslo-1", "address": "198.51.100.1"},
        {"name": "oslo-2", "address": "198.51.100.2", "interfaces": [{"name": "eth0", "mtu": 1400}]},
        {"name": "rome-1", "address": "192.0.2.254"},
    ],
    "subnets": [{"cidr": "198.51.100.0/25", "router": "198.51.100.126"}, {"cidr": "192.0.2.0/24", "mtu": 9000}],
    "podRange": "10.60.0.0/16",
}


def _topology(*, bare: bool = False, **told: Any) -> Topology:
    given = facts(**told)
    named = given.model_copy(update={"blueprint": given.blueprint or fitting(given)})
    return topology_of_facts(named, decide(named), name="t", bare=bare)


def test_nodes_stand_where_the_facts_say() -> None:
    """A segment for each subnet with its router and the narrowest MTU; a router that is not given is the last free."""
    topology = _topology(bare=True, **_TWO)

    assert [(each.name, str(each.address), each.segment) for each in topology.nodes] == [
        ("oslo-1", "198.51.100.1/25", 0), ("oslo-2", "198.51.100.2/25", 0), ("rome-1", "192.0.2.254/24", 1),
    ]  # fmt: skip
    assert [(str(each.router), each.mtu) for each in topology.segments] == [
        ("198.51.100.126/25", 1400),
        ("192.0.2.253/24", 9000),
    ]
    assert str(topology.pods) == "10.60.0.0/16"
    assert Topology.from_json(topology.to_json()) == topology


def test_each_subnet_is_a_bridge_and_the_router_has_a_leg_on_each() -> None:
    """As values: what `ip` will be told."""
    plans = {each.name: each.links for each in plan(_topology(bare=True, **_TWO))}

    assert [line for line in plans[SWITCH] if "bridge" in line] == [
        "link add br0 mtu 1400 type bridge forward_delay 0", "link add br1 mtu 9000 type bridge forward_delay 0",
    ]  # fmt: skip
    assert [line for line in plans[ROUTER] if line.startswith("address")] == [
        "address add 198.51.100.126/25 dev eth0", "address add 192.0.2.253/24 dev eth2",
        "address add 203.0.113.1/24 dev eth1",
    ]  # fmt: skip
    assert plans["rome-1"][-1] == "route add default via 192.0.2.253"
    assert [line for line in plans[OUTSIDE] if line.startswith("route")] == [
        "route add 198.51.100.0/25 via 203.0.113.1", "route add 192.0.2.0/24 via 203.0.113.1",
    ]  # fmt: skip


_SWITCHED = {
    "nodes": [{"name": "a", "address": "192.0.2.1", "rack": "r1"}],
    "topOfRack": [{"name": "t", "address": "192.0.2.9", "asNumber": 64400, "racks": ["r1"]}],
}


@pytest.mark.parametrize(
    ("told", "what"),
    [
        ({"provider": "aws"}, "encapsulate nothing, and the blueprint decides IP-in-IP Always"),
        (_TWO, "encapsulate nothing, and the blueprint decides IP-in-IP CrossSubnet"),
        ({"plannedNodes": 60, **nodes_in(4)}, "has no route reflectors"),
        (_SWITCHED, "has no racks"),
        ({"wireguard": True}, "do not encrypt"),
        ({"hostEndpoints": {"operators": ["198.51.100.0/24"]}}, "enforce nothing on the machines"),
        ({"running": {"podRange": "10.99.0.0/16"}}, "a lab is new"),
    ],
)
def test_what_agents_do_not_carry_is_refused(told: dict[str, Any], what: str) -> None:
    """With the reason; the network alone can be looked at."""
    with pytest.raises(BadInput) as caught:
        _topology(**told)

    assert any(what in each.what for each in caught.value.problems)
    assert _topology(bare=True, **told).bare


@pytest.mark.parametrize(
    ("told", "what"),
    [
        ({**nodes_in(11)}, "11 nodes are too many"),
        ({"nodes": [{"name": "router", "address": "192.0.2.1"}]}, "router can't be a node's name"),
        ({"nodes": [{"name": "a.example", "address": "192.0.2.1"}]}, "a.example can't be a node's name"),
        ({"nodes": [{"name": "a", "address": "203.0.113.9"}], "subnets": ["203.0.113.0/24"]}, "the lab's outside"),
        ({"networkMTU": 65535}, "can't have an MTU of 65535"),
        ({"nodes": [{"name": "a", "address": "2001:db8::1"}], "subnets": ["2001:db8::/64"], "podRange": None,
          "podRangeV6": "2001:db8:48::/48"}, "has IPv4 alone"),
    ],
)  # fmt: skip
def test_what_has_no_room_on_one_machine_is_refused(told: dict[str, Any], what: str) -> None:
    """Bare or not."""
    with pytest.raises(BadInput, match=re.escape(what)):
        _topology(bare=True, **told)


@pytest.mark.parametrize(
    ("words", "what"),
    [
        (["--nodes", "3", "--facts", "cluster.yaml"], "the facts say that already"),
        (["--blueprint", "vxlan"], "a blueprint decides about facts"),
        (["--facts", "nowhere.yaml"], "the file can't be read"),
        (["--facts", "cluster.yaml", "--blueprint", "vxlans"], "there is no blueprint 'vxlans'"),
        (["--facts", "cluster.yaml", "--name", "../x"], "is not a name for a lab"),
    ],
)
def test_wrong_words_start_nothing(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, words: list[str], what: str
) -> None:
    """They are refused before anything is made."""
    text = (Path(__file__).parents[2] / "docs" / "cluster.yaml").read_text()
    (tmp_path / "cluster.yaml").write_text(text)
    ran = Run(capsys)("lab", "up", *(str(tmp_path / each) if each.endswith(".yaml") else each for each in words))

    assert (ran.status, what in ran.err) == (2, True)


@pytest.mark.netns
@pytest.mark.slow
def test_a_file_of_facts_comes_up(
    capsys: pytest.CaptureFixture[str], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two subnets bare: nodes reach each other over the router. One subnet with agents: what is decided is pushed."""
    monkeypatch.setenv("XDG_STATE_HOME", str(folder))
    name, run = f"facts{os.getpid()}", Run(capsys)
    (folder / "bare.yaml").write_text(_BARE)
    (folder / "one.yaml").write_text(_ONE)
    try:
        bare = run("lab", "up", "--facts", folder / "bare.yaml", "--bare", "--name", name)
        ping = verbs.execute(name, "oslo-1", ["ping", "-c1", "-W2", "192.0.2.1"], capture=True, timeout_s=10)
        verbs.down(name)
        full = run("lab", "up", "--facts", folder / "one.yaml", "--name", name)
        nodes = [each["name"] for each in verbs.status(name)["nodes"]]
    finally:
        verbs.down(name)

    assert (bare.status, ping.returncode, full.status) == (0, 0, 0), (bare.err, ping.stdout, full.err)
    assert nodes == ["oslo-1", "oslo-2"]
    assert full.out.count("pushed ") == 2


_HEAD = "apiVersion: blueprints.muslin/v1alpha1\nkind: Cluster\nname: oslo\nnetworkMTU: 1500\npodRange: 10.60.0.0/16\n"
_BARE = _HEAD + (
    "nodes:\n- {name: oslo-1, address: 198.51.100.1}\n- {name: rome-1, address: 192.0.2.1}\n"
    "subnets: [198.51.100.0/24, 192.0.2.0/24]\n"
)
_ONE = _HEAD + (
    "nodes:\n- {name: oslo-1, address: 198.51.100.1}\n- {name: oslo-2, address: 198.51.100.2}\n"
    "subnets: [198.51.100.0/24]\n"
)
