"""What is read is printed so that it reads the same; nothing but BadInput ever comes out of `load`."""

from __future__ import annotations

import copy
import enum
import json
import pickle
import sys
from functools import cache
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from muslin.errors import BadInput, Problem
from muslin.resources import KINDS, Part, Resource, dump, load

from .builders import manifest

pytestmark = pytest.mark.slow


def _enum_words() -> list[str]:
    modules = [sys.modules[name] for name in sorted(sys.modules) if name.startswith("muslin.resources.")]
    words: set[str] = set()
    for each in (value for module in modules for value in vars(module).values()):
        if isinstance(each, type) and issubclass(each, enum.Enum):
            words.update(str(word.value) for word in each)
    return sorted(words)


_SCALARS: list[Any] = [
    True, False, 0, 1, 4, 26, 122, 80, 64512, 1000.5, "", "default", "all()", "has(role)", "global()", "node-1", "eth0",
    "192.0.2.0/24", "192.0.2.1", "192.0.2.1/24", "10.48.0.0/16", "2001:db8::/64", "2001:db8::1", "ee:ee:ee:ee:ee:ee",
    "90s", "65000:100", "host:node-1", "8000:8099", "http", "TCP", "17", *_enum_words(),
]  # fmt: skip
_COMPOUND: list[Any] = [
    {"cidr": "198.51.100.0/24"},
    {"secretKeyRef": {"key": "password", "name": "bgp"}},
    {"cidr": "198.51.100.0/24", "communities": ["65000:100"]},
    {"action": "Allow", "protocol": "TCP", "destination": {"ports": [80, "8000:8099", "http"]}},
    {"action": "Deny", "protocol": "ICMP", "icmp": {"type": 8, "code": 0}, "ipVersion": 4},
    {
        "action": "Allow",
        "source": {"nets": ["203.0.113.0/24"], "notSelector": "a == 'b'"},
        "metadata": {"annotations": {"k": "v"}},
    },
    {"name": "http", "protocol": "TCP", "port": 80},
    {"internalIP": "192.0.2.1", "externalIP": "203.0.113.1"},
    {"ipv4Address": "192.0.2.1/24", "asNumber": 64512},
    {"min": 1, "max": 250},
    {"protocol": "tcp", "port": 22},
    {"handle_id": "k8s-pod", "secondary": {"node": "node-1"}},
    {"192.0.2.0/26": 3},
    {"role": "web"},
    {"action": "Accept", "cidr": "192.0.2.0/24", "matchOperator": "In", "prefixLength": {"max": 30}},
    {"action": "Accept", "operations": [{"addCommunity": {"value": "64496:100"}}, {"setPriority": {"value": 512}}]},
    {"action": "Reject", "communities": {"values": ["64496:1:2"]}, "asPathPrefix": [64496, 64497], "source": ""},
    {"action": "Reject", "cidr": "2001:db8::/48", "matchOperator": "NotIn", "peerType": "eBGP", "priority": 1},
    {"node": {"leakGracePeriod": "15m", "hostEndpoint": {"templates": [{"interfaceCIDRs": ["192.0.2.0/24"]}]}}},
    {"from": [{"ipBlock": {"cidr": "192.0.2.0/24", "except": ["192.0.2.1/32"]}}], "ports": [{"port": "http"}]},
    {"matchLabels": {"role": "web"}, "matchExpressions": [{"key": "role", "operator": "Exists"}]},
]
_POOL: list[Any] = [*_SCALARS, *_COMPOUND, *([value] for value in (*_SCALARS, *_COMPOUND)), [None, 0], [1, 0]]


_MODELLED = [kind for kind in KINDS if kind != "LiveMigration"]  # whose spec is kept as it is


def _spec_model(kind: str) -> type[Part]:
    spec = KINDS[kind].model.model_fields["spec"].annotation
    assert isinstance(spec, type)
    assert issubclass(spec, Part)
    return spec


@cache
def _accepted_values(kind: str) -> dict[str, list[Any]]:
    """Values that each field of a kind's spec accepts by itself."""
    found: dict[str, list[Any]] = {}
    for name, field in _spec_model(kind).model_fields.items():
        alias = field.alias or name
        for value in _POOL:
            try:
                load(manifest(kind, {alias: value}))
            except BadInput as error:
                if any(problem.where.startswith(f"spec.{alias}") for problem in error.problems):
                    continue
            found.setdefault(alias, []).append(value)
    return found


@st.composite
def _specs(draw: st.DrawFn, kind: str) -> dict[str, Any]:
    values = _accepted_values(kind)
    required = [field.alias or name for name, field in _spec_model(kind).model_fields.items() if field.is_required()]
    others = draw(st.lists(st.sampled_from(sorted(values)), max_size=6, unique=True))
    return {field: draw(st.sampled_from(values[field])) for field in (*required, *others)}


def _name(kind: str) -> str:
    only_default = {"ClusterInformation", "IPAMConfiguration", "BGPConfiguration", "KubeControllersConfiguration"}
    return "default" if kind in only_default else "example"


@pytest.mark.parametrize("kind", _MODELLED)
def test_printing_keeps_everything(kind: str) -> None:
    """For any accepted object, reading what was printed gives the same value, and prints the same again."""
    accepted = 0

    @settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
    @given(_specs(kind))
    def check(spec: dict[str, Any]) -> None:
        nonlocal accepted
        resource, _ = _try(manifest(kind, spec, name=_name(kind), labels={"role": "web"}))
        if resource is None:
            return
        accepted += 1
        printed = dump(resource)
        again = load(printed)
        assert again == resource
        assert hash(again) == hash(resource)
        assert dump(again) == printed
        assert json.loads(json.dumps(printed)) == printed
        assert list(printed) == [key for key in ("apiVersion", "kind", "metadata", "spec", "status") if key in printed]

    check()
    assert accepted > 0


def _try(obj: Any) -> tuple[Resource | None, tuple[Problem, ...]]:
    try:
        return load(obj), ()
    except BadInput as error:
        return None, error.problems


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.sampled_from(_SCALARS),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


@pytest.mark.parametrize("kind", _MODELLED)
def test_nothing_but_bad_input_comes_out(kind: str) -> None:
    """Any JSON in any field is read or refused with at least one problem that has a place and a fix."""
    fields = [field.alias or name for name, field in _spec_model(kind).model_fields.items()]

    @settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
    @given(st.dictionaries(st.sampled_from(fields) | st.text(max_size=5), _JSON, max_size=5), _JSON, _JSON)
    def check(spec: dict[str, Any], metadata: Any, status: Any) -> None:
        obj = manifest(kind, spec)
        obj["metadata"] = metadata if isinstance(metadata, dict) else {"name": metadata, "labels": metadata}
        obj["status"] = status
        resource, problems = _try(obj)
        if resource is not None:
            assert load(dump(resource)) == resource
        else:
            assert problems
            assert all(problem.what and problem.where and problem.fix for problem in problems)

    check()


@given(_JSON)
def test_any_json_is_read_or_refused(value: Any) -> None:
    """Whatever is no object of ours is refused as such."""
    with pytest.raises(BadInput):
        load(value)


def test_depth_is_bounded() -> None:
    """Nesting beyond reason is refused like any other fault."""
    deep: Any = {}
    for _ in range(100_000):
        deep = {"a": deep}

    with pytest.raises(BadInput):
        load(manifest("Tier", {}) | {"status": deep})


def test_what_is_only_kept_comes_back_as_it_was() -> None:
    """A migration is read and printed with all its content, whatever that is."""
    migration = manifest("LiveMigration", {"source": {"name": "vm-1", "ports": [1, None]}}, namespace="shop")

    assert dump(load(migration)) == migration


def test_a_resource_is_a_value() -> None:
    """Resources cannot change; they can be copied, pickled and kept in sets."""
    pool: Resource = load(manifest("IPPool", {"cidr": "192.0.2.0/24"}, labels={"role": "web"}))

    assert copy.deepcopy(pool) == pool
    assert pickle.loads(pickle.dumps(pool)) == pool
    assert {pool, copy.copy(pool)} == {pool}
    with pytest.raises(ValueError, match="frozen"):
        pool.metadata.name = "other"  # type: ignore[misc]
    with pytest.raises(TypeError, match="cannot be changed"):
        pool.metadata.labels["role"] = "db"  # type: ignore[index]


def test_a_changed_copy_changes_nobody_else() -> None:
    """What alike models share in memory stays as it is when one of them is copied with a change."""
    one, two = (load(manifest("IPPool", {"cidr": "192.0.2.0/24"}, name=name)) for name in ("a", "b"))
    assert isinstance(one.spec, Part)
    assert isinstance(two.spec, Part)

    changed = one.spec.model_copy(update={"disabled": True})

    assert changed.to_json() == {"cidr": "192.0.2.0/24", "disabled": True}
    assert one.spec.model_fields_set == two.spec.model_fields_set == {"cidr"}
