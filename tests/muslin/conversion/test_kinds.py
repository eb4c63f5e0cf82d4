"""Names of kinds in their stores, and which CRDs a cluster's objects are in."""

from __future__ import annotations

import pytest

from muslin.conversion.deletion import MARKED_KINDS, is_marked, marked
from muslin.conversion.kinds import (
    CRD_KINDS,
    ETCD_KINDS,
    IPAM_KINDS,
    SYNTHESISED,
    ApiGroup,
    api_group,
    api_path,
    api_path_of,
)
from muslin.resources.keys import Key
from muslin.resources.registry import KINDS

_OLD, _NEW = ApiGroup.V1.group, ApiGroup.V3.group


def test_tables_name_every_kind_as_the_registry_does() -> None:
    """Plural and scope are the registry's; LiveMigration is read from its orchestrator, not from a CRD."""
    stored = {**ETCD_KINDS, **CRD_KINDS}

    assert {kind: (each.plural, each.namespaced) for kind, each in stored.items()} == {
        kind: (info.plural, info.namespaced) for kind, info in KINDS.items()
    }
    assert set(KINDS) - set(CRD_KINDS) == SYNTHESISED | {"LiveMigration"}
    assert set(KINDS) - set(ETCD_KINDS) == IPAM_KINDS


@pytest.mark.parametrize(
    ("groups", "setting", "expected"),
    [
        ({"apps", _NEW}, None, ApiGroup.V3),
        ({_NEW, _OLD}, None, ApiGroup.V1),
        ({_OLD}, None, ApiGroup.V1),
        (set(), None, ApiGroup.V1),
        (None, None, ApiGroup.V1),
        (None, "", ApiGroup.V1),
        ({_OLD}, "ProjectCalico.org/V3", ApiGroup.V3),
        ({_NEW}, "crd.projectcalico.org/v1", ApiGroup.V1),
        ({_NEW}, "nonsense", ApiGroup.V1),
    ],
)
def test_the_group_follows_from_a_setting_or_from_discovery(
    groups: set[str] | None, setting: str | None, expected: ApiGroup
) -> None:
    """The newer CRDs count only where the older are not: else another server stands in between."""
    assert api_group(groups, setting) is expected


@pytest.mark.parametrize(
    ("group", "kind", "namespace", "name", "path"),
    [
        (ApiGroup.V3, "IPPool", None, "p", "/apis/projectcalico.org/v3/ippools/p"),
        (ApiGroup.V1, "IPPool", None, None, "/apis/crd.projectcalico.org/v1/ippools"),
        (ApiGroup.V1, "IPAMConfiguration", None, "default", "/apis/crd.projectcalico.org/v1/ipamconfigs/default"),
        (ApiGroup.V3, "NetworkPolicy", None, None, "/apis/projectcalico.org/v3/networkpolicies"),
        (ApiGroup.V3, "NetworkSet", "red", "n", "/apis/projectcalico.org/v3/namespaces/red/networksets/n"),
        (ApiGroup.V3, "IPPool", None, "a/../b", "/apis/projectcalico.org/v3/ippools/a%2F..%2Fb"),
    ],
)
def test_addresses_in_the_api(group: ApiGroup, kind: str, namespace: str | None, name: str | None, path: str) -> None:
    """Of all objects, of a namespace's, of one; no name leads elsewhere."""
    assert api_path(group, kind, namespace, name) == path
    if name is not None:
        assert api_path_of(group, Key(kind, name, namespace)) == path


@pytest.mark.parametrize("kind", sorted(MARKED_KINDS))
def test_a_marked_object_counts_as_gone(kind: str) -> None:
    """The mark is set on a copy."""
    value = {"kind": kind, "metadata": {"name": "x"}, "spec": {"cidr": "192.0.2.0/26", "deleted": False}}

    assert not is_marked(value)
    assert is_marked(marked(value))
    assert value["spec"] == {"cidr": "192.0.2.0/26", "deleted": False}
    assert not is_marked({**marked(value), "kind": "IPPool"})
