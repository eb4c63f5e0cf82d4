"""Whatever the facts: both ways of installing say what was decided, and what is read never ends in an exception."""

from __future__ import annotations

import json
from ipaddress import ip_address, ip_network
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from blueprints.catalogue import BLUEPRINTS
from blueprints.facts import load
from blueprints.upstream import manifests, operator
from blueprints.upstream.network import Network, network
from blueprints.upstream.verify.installed import Found, Installed, value_at
from blueprints.upstream.verify.lines import Verdict
from blueprints.upstream.verify.verifying import verify
from muslin import yaml
from muslin.errors import BadInput
from tests.blueprints.clusters import documents
from tests.blueprints.upstream.networks import decided
from tests.blueprints.upstream.operators_model import APIServer, Installation
from tests.blueprints.upstream.upstreams import by_manifests, by_the_operator, installed

pytestmark = pytest.mark.slow

_ANY_BLUEPRINT = st.sampled_from(sorted(BLUEPRINTS))


def _network(name: str, document: dict[str, Any]) -> Network | None:
    facts = load(document)
    try:
        decided = BLUEPRINTS[name](facts, None, None)
    except BadInput:
        return None
    moving = any(each.name.startswith("pool ") for each in decided.procedures)
    return None if moving else network(facts, decided)  # the operator waits for pools to have moved


@given(_ANY_BLUEPRINT, documents())
@settings(max_examples=60, deadline=None)
def test_what_is_written_is_known_to_upstream_and_holds(name: str, document: dict[str, Any]) -> None:
    """The operator's API takes it, files read back, and verify-install finds nothing that is not as decided."""
    if (asked := _network(name, document)) is None:
        return
    installation, api_server = operator.installation(asked)
    Installation.model_validate(installation)
    APIServer.model_validate(api_server)
    texts = {**manifests.files(asked), **operator.files(asked)}

    assert all(yaml.load(text.encode(), path) for path, text in texts.items())
    assert texts == {**manifests.files(asked), **operator.files(asked)}
    for objects, allowed in ((by_manifests(asked), set()), (by_the_operator(asked), {"Typha replicas"})):
        lines = verify(asked, installed(objects))
        assert {each.check for each in lines if each.verdict is not Verdict.HOLDS} == allowed


@given(_ANY_BLUEPRINT, documents())
@settings(max_examples=40, deadline=None)
def test_nodes_are_found_by_their_addresses(name: str, document: dict[str, Any]) -> None:
    """Every node's address of each family lies in what both ways say it is found by."""
    if (asked := _network(name, document)) is None:
        return
    told = operator.installation(asked)[0]["spec"]["calicoNetwork"]
    env = {
        each["name"]: each.get("value")
        for each in manifests.node_patch(asked)["spec"]["template"]["spec"]["containers"][0]["env"]
    }
    for version, variable in ((4, "IP_AUTODETECTION_METHOD"), (6, "IP6_AUTODETECTION_METHOD")):
        if version not in asked.facts.families:
            assert variable not in env
            continue
        cidrs = told[f"nodeAddressAutodetectionV{version}"]["cidrs"]
        assert env[variable] == f"cidr={','.join(cidrs)}"
        for node in asked.facts.nodes:
            address = ip_address(str(node.address_of(version)))
            assert any(address in ip_network(each) for each in cidrs)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(0, 9) | st.sampled_from(["", "0", "x", "\u201cq\u201d", "{", "name"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["name", "spec"]), inner, max_size=3),
    max_leaves=6,
)
_PATHS = (
    ("metadata",), ("metadata", "name"), ("metadata", "labels"), ("data",), ("data", "cni_network_config"), ("spec",),
    ("spec", "replicas"), ("spec", "selector"), ("spec", "ports"), ("spec", "template"),
    ("spec", "template", "spec", "containers"), ("spec", "template", "spec", "containers", 0, "env"),
    ("spec", "template", "spec", "containers", 0, "env", 0), ("spec", "template", "spec", "containers", 0, "image"),
    ("spec", "template", "spec", "containers", 0, "livenessProbe"), ("spec", "calicoNetwork"),
    ("spec", "calicoNetwork", "ipPools"), ("spec", "calicoNetwork", "ipPools", 0), ("spec", "cidr"),
    ("spec", "calicoNetwork", "nodeAddressAutodetectionV4"), ("status",), ("status", "conditions"), ("kind",),
    ("apiVersion",),
)  # fmt: skip


@given(
    st.lists(st.tuples(st.integers(0, 30), st.sampled_from(_PATHS), _JSON), max_size=4), st.booleans(), st.booleans()
)
@settings(max_examples=150, deadline=None)
def test_no_shape_of_what_is_read_ends_in_an_exception(
    changes: list[tuple[int, tuple[str | int, ...], Any]], running: bool, by_operator: bool
) -> None:
    """Anything may stand anywhere: lines come of it, and these are text."""
    asked = decided("both-families-vxlan")
    objects = by_the_operator(asked) if by_operator else by_manifests(asked)
    for number, path, value in changes:
        holder = value_at(objects[number % len(objects)], path[:-1])
        if isinstance(holder, dict):
            holder[path[-1]] = value
    lines = verify(asked, Installed(tuple(Found(each, "x") for each in objects), running=running))

    assert json.dumps([(each.check, each.found, each.fix, each.place, each.expected) for each in lines])
    assert all(isinstance(each.found, str) and isinstance(each.expected, str) for each in lines)
