"""`muslin.testing`: each assertion holds where it should, and says what is where it does not."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from blueprints.emit import render
from blueprints.facts import load
from blueprints.multi_subnet import multi_subnet
from blueprints.musts import Must
from blueprints.route_reflectors import route_reflectors
from blueprints.single_subnet import single_subnet
from muslin import testing
from muslin.errors import BadInput
from muslin.resources import dump
from muslin.yaml import load as read_yaml
from reconciler.compare import canonical
from tests.blueprints.clusters import facts, nodes_in
from tests.support.clusters import policy

_PODS = (
    testing.Pod("web", "shop", "node-a", ("10.48.0.1",), {"app": "web"}),
    testing.Pod("db", "shop", "node-b", ("10.48.0.2",), {"app": "db"}),
    testing.Pod("spy", "red", "node-b", ("10.48.0.3",)),
)


def test_encapsulation() -> None:
    """Wrapped between subnets, not within one; the message says what it is."""
    told = facts(**nodes_in(2, 1))
    made = testing.cluster(told, multi_subnet(told))

    testing.assert_encapsulation(made, "n0-0", "n1-0", "10.48.0.1", "IP-in-IP")
    testing.assert_encapsulation(made, "n0-0", "n0-1", "10.48.0.1", "no encapsulation")
    with pytest.raises(AssertionError, match="it is IP-in-IP, not VXLAN"):
        testing.assert_encapsulation(made, "n0-0", "n1-0", "10.48.0.1", "VXLAN")
    with pytest.raises(KeyError, match=r"203\.0\.113\.1"):
        testing.assert_encapsulation(made, "n0-0", "n1-0", "203.0.113.1", "VXLAN")


def test_sessions() -> None:
    """Two for clients of two reflectors; the message names the peers."""
    told = facts(**nodes_in(4))
    made = testing.cluster(told, route_reflectors(told))

    testing.assert_sessions(made, "n0-2", 2)
    testing.assert_sessions(made, "n0-0", 3)
    with pytest.raises(AssertionError, match="n0-2 has 2 sessions, not 3: n0-0, n0-1"):
        testing.assert_sessions(made, "n0-2", 3)


def test_reaching() -> None:
    """By pod or address; both assertions fail where the other holds."""
    told = facts(startingPolicies=["shop"])
    made = testing.cluster(told, single_subnet(told), _PODS)

    testing.assert_reached(made, "shop/web", "shop/db", 5432)
    testing.assert_not_reached(made, "red/spy", "shop/db", 5432)
    testing.assert_not_reached(made, "shop/web", "203.0.113.10", 443)
    with pytest.raises(AssertionError, match=r"10.48.0.1 to 10.48.0.2 is allowed"):
        testing.assert_not_reached(made, "shop/web", "shop/db", 5432)
    with pytest.raises(AssertionError, match=r"10.48.0.3 to 10.48.0.2 is denied"):
        testing.assert_reached(made, "red/spy", "shop/db", 5432)


def test_families_must_meet() -> None:
    """A question that cannot be asked is no answer."""
    told = facts()
    made = testing.cluster(told, single_subnet(told), _PODS)

    with pytest.raises(ValueError, match="no family"):
        testing.assert_not_reached(made, "shop/web", "2001:db8::1", 80)


def test_what_a_change_opens() -> None:
    """A policy that lets everybody in opens paths, which are named; one that closes opens none."""
    told = facts(startingPolicies=["shop"])
    now = single_subnet(told).resources
    ingress = {"types": ["Ingress"], "selector": "app == 'db'", "order": 10}
    opening = policy("open", "shop", **ingress, ingress=[{"action": "Allow"}])
    egress = policy("out", "red", types=["Egress"], order=10, egress=[{"action": "Allow"}])
    before = testing.cluster(told, now, _PODS)

    testing.assert_opens_nothing(before, testing.cluster(told, [*now, opening], _PODS), [("TCP", 5432)])
    with pytest.raises(AssertionError, match=r"this opens red/spy to shop/db on TCP 5432$"):
        testing.assert_opens_nothing(before, testing.cluster(told, [*now, opening, egress], _PODS), [("TCP", 5432)])


def test_what_a_change_opens_at_all() -> None:
    """No port need be named: a path on any is found, and told with who, to whom and what."""
    told = facts(startingPolicies=["shop"])
    now = single_subnet(told).resources
    rule = {"action": "Allow", "protocol": "UDP", "destination": {"ports": ["7000:7010"]}}
    opening = policy("open", "shop", types=["Ingress"], selector="app == 'db'", order=10, ingress=[rule])
    before = testing.cluster(told, now, _PODS)

    testing.assert_opens_no_path(before, before)
    with pytest.raises(AssertionError, match=r"this opens .* -> shop/db: UDP 7000-7010"):
        testing.assert_opens_no_path(before, testing.cluster(told, [*now, opening], _PODS))


def test_what_a_change_closes() -> None:
    """Who reached somebody, and does not any more, is named; more openings close nothing."""
    told = facts()
    now = single_subnet(told).resources
    rule = {"action": "Allow", "protocol": "TCP", "destination": {"ports": [443]}}
    opening = policy("open", "shop", types=["Ingress"], selector="app == 'web'", order=10, ingress=[rule])
    closed, opened = (testing.cluster(told, each, _PODS) for each in (now, [*now, opening]))

    testing.assert_closes_no_path(closed, opened)
    with pytest.raises(AssertionError, match=r"this closes .* -> shop/web: TCP 443"):
        testing.assert_closes_no_path(opened, closed)


def test_who_reaches_whom() -> None:
    """Of all pods, and of addresses outside; the message names who is too many and who is missing."""
    told = facts(startingPolicies=["shop"])
    opening = policy(
        "open", "shop", types=["Ingress"], selector="app == 'web'", order=10,
        ingress=[{"action": "Allow", "protocol": "TCP", "destination": {"ports": [443]}}],
    )  # fmt: skip
    made = testing.cluster(told, [*single_subnet(told).resources, opening], _PODS)

    assert testing.who_reaches(made, "shop/db", 5432) == {"shop/web"}
    assert testing.who_reaches(made, "shop/web", 443, outside=["203.0.113.9"]) == {"shop/db", "203.0.113.9"}
    testing.assert_reached_by(made, "shop/db", 5432, ["shop/web"], outside=["203.0.113.9"])
    with pytest.raises(AssertionError, match=r"red/spy does not, shop/web does$"):
        testing.assert_reached_by(made, "shop/db", 5432, ["red/spy"])


def test_a_change_that_lets_the_outside_in() -> None:
    """Addresses outside are tried to and from each pod."""
    told = facts()
    now = single_subnet(told).resources
    opening = policy("open", "red", types=["Ingress"], order=10, ingress=[{"action": "Allow"}])
    before, after = (testing.cluster(told, each, _PODS) for each in (now, [*now, opening]))

    with pytest.raises(AssertionError, match=r"this opens 203\.0\.113\.9 to red/spy on TCP 22$"):
        testing.assert_opens_nothing(before, after, [("TCP", 22)], outside=["203.0.113.9"])


def test_what_a_blueprint_says() -> None:
    """Answers, refusals with their must, the pods' MTU."""
    told = facts(**nodes_in(2, 1))
    decided = multi_subnet(told)
    made = testing.cluster(told, decided)

    testing.assert_decided(decided, "MTU", "1480")
    testing.assert_pod_mtu(made, "n0-0", 1500, 1480)
    testing.assert_refused(lambda: single_subnet(told), Must.ONE_SUBNET)
    with pytest.raises(AssertionError, match="MTU is 1480, not 1500: the network's MTU less 20 bytes"):
        testing.assert_decided(decided, "MTU", "1500")
    with pytest.raises(AssertionError, match="MTU of 1480, not 1500"):
        testing.assert_pod_mtu(made, "n0-0", 1500, 1500)
    with pytest.raises(AssertionError, match="not refused; "):
        testing.assert_refused(lambda: multi_subnet(told), Must.ONE_SUBNET)
    with pytest.raises(AssertionError, match="but not because nothing else uses the etcd"):
        testing.assert_refused(lambda: single_subnet(told), Must.SEPARATE_ETCD)


def test_what_a_running_cluster_takes() -> None:
    """Stages between two blueprints; what can't be done live is told."""
    told = facts(**nodes_in(4))
    mesh, reflected = single_subnet(told), route_reflectors(told)

    testing.assert_stages(mesh, mesh, 0)
    testing.assert_stages(mesh, reflected.resources, 4)
    with pytest.raises(AssertionError, match="takes 4 stages, not 1: set the reflectors aside"):
        testing.assert_stages(mesh, reflected, 1)
    with pytest.raises(AssertionError, match="can't be done live"):
        testing.assert_stages(mesh, single_subnet(facts(**nodes_in(4), network={"bgp": False})), 0)


def test_files_are_read_as_the_reconciler_reads_them(tmp_path: Path) -> None:
    """A rendered folder means what the blueprint means; a wrong file is refused."""
    told = facts()
    for path, text in render(single_subnet(told)).items():
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_text(text)

    read, decided = testing.files(tmp_path), single_subnet(told).resources
    assert {each.key: canonical(dump(each)) for each in read} == {each.key: canonical(dump(each)) for each in decided}
    (tmp_path / "wrong.yaml").write_text("kind: Nothing\n")
    with pytest.raises(BadInput):
        testing.files(tmp_path)


def test_the_page_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The test that docs/ci.md shows holds for the example's files, and fails where somebody opens a path."""
    page = (Path(__file__).parents[2] / "docs" / "ci.md").read_text("utf-8")
    (block,) = re.findall(r"^```python\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    text = (Path(__file__).parents[2] / "docs" / "cluster.yaml").read_bytes()
    told = load(read_yaml(text, "cluster.yaml")[0].value)
    for folder in (tmp_path / "in-force", tmp_path / "change"):
        for path, rendered in {"cluster.yaml": text.decode(), **render(single_subnet(told))}.items():
            (folder / path).parent.mkdir(exist_ok=True, parents=True)
            (folder / path).write_text(rendered)
    monkeypatch.chdir(tmp_path / "change")
    scope: dict[str, Any] = {}
    exec(compile(block, "ci.md", "exec"), scope)

    scope["test_shops_are_apart"]()
    scope["test_this_change_opens_nothing"]()
    Path("default-policy/default-deny.yaml").unlink()
    with pytest.raises(AssertionError, match="red/spy reaches shop/db"):
        scope["test_shops_are_apart"]()
    with pytest.raises(AssertionError, match="this opens"):
        scope["test_this_change_opens_nothing"]()
