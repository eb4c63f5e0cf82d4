"""Facts of a cluster in a repository, rendered by installed blueprints that are allowed."""

from __future__ import annotations

from pathlib import Path

from muslin.resources.keys import Key
from reconciler.local import read_folder
from reconciler.manifests import Manifests, Reading
from reconciler.tree import File
from tests.reconciler.cases import policy, policy_key

_FACTS = """\
# the cluster
apiVersion: blueprints.muslin/v1alpha1
kind: Cluster
name: example
blueprint: single_subnet
nodes:
  - {name: node1, address: 192.0.2.1}
  - {name: node2, address: 192.0.2.2}
subnets: [192.0.2.0/24]
networkMTU: 1500
network: {bgp: true, podAddresses: true, sourceDestinationChecks: false}
podRange: 198.51.100.0/24
"""
_ALLOWED = frozenset({"single_subnet"})


def _read(files: dict[str, str], manifests: Manifests | None = None) -> Reading:
    listed = [File(path, str(hash(text)), len(text)) for path, text in sorted(files.items())]
    return (manifests or Manifests(_ALLOWED)).read("c", listed, lambda file: files[file.path].encode())


def test_facts_become_resources_beside_plain_ones_and_say_where_from() -> None:
    """What follows from facts stands at the facts' place, with blueprint and decisions; plain files are as they are."""
    reading = _read({"cluster.yaml": _FACTS, "policies/a.yaml": policy("a")})
    places = {key: str(each.place) for key, each in reading.resources.items()}

    assert reading.problems == ()
    assert places.pop(policy_key("a")) == "policies/a.yaml:1:1"
    assert {key.kind for key in places} >= {"IPPool", "BGPConfiguration"}
    pool = next(place for key, place in places.items() if key.kind == "IPPool")
    assert pool.startswith("cluster.yaml:2:1  (blueprint single_subnet: ")
    assert "encapsulation" in pool


def test_facts_are_rendered_once_for_each_content() -> None:
    """Another commit with the same facts costs no rendering; changed facts cost one."""
    manifests = Manifests(_ALLOWED)
    files = {"cluster.yaml": _FACTS}
    for index in range(3):
        _read({**files, "a.yaml": policy("a", order=index)}, manifests)
    before = manifests.parses
    reading = _read({"cluster.yaml": _FACTS.replace("1500", "9000"), "a.yaml": policy("a", order=2)}, manifests)

    assert (before, manifests.parses) == (4, 5)
    assert reading.problems == ()


def test_what_is_wrong_with_facts_is_a_problem_with_its_line() -> None:
    """A bad value, a blueprint that is not allowed, unknown or not named, a refusal: each with file and line."""
    cases = {
        _FACTS.replace("1500", "many"): "cluster.yaml:10:13",
        _FACTS.replace("single_subnet", "multi_subnet"): "cluster.yaml:5:12",
        _FACTS.replace("single_subnet", "single_subnet + vxlan"): "cluster.yaml:5:12",
        _FACTS.replace("single_subnet", "single_subnets"): "cluster.yaml:5:12",
        _FACTS.replace("blueprint: single_subnet\n", ""): "cluster.yaml:2:1",
        _FACTS.replace("192.0.2.2}", "203.0.113.2}"): "cluster.yaml:9:10",
    }
    for text, place in cases.items():
        reading = _read({"cluster.yaml": text, "a.yaml": policy("a")})
        assert [each.where.startswith(place) for each in reading.problems] == [True] * len(reading.problems), (
            place, [str(each) for each in reading.problems],
        )  # fmt: skip
        assert reading.problems
        assert set(reading.resources) == {policy_key("a")}


def test_an_object_that_facts_and_a_file_declare_is_refused_with_both_places() -> None:
    """Rendered files that were left beside their facts are told, not merged."""
    pool = "apiVersion: projectcalico.org/v3\nkind: IPPool\nmetadata: {name: NAME}\nspec: {cidr: 198.51.100.0/24}\n"
    name = next(key.name for key in _read({"cluster.yaml": _FACTS}).resources if key.kind == "IPPool")
    reading = _read({"cluster.yaml": _FACTS, "pool.yaml": pool.replace("NAME", name)})

    assert [each.where for each in reading.problems] == ["pool.yaml:1:1"]
    assert "first at cluster.yaml:2:1" in reading.problems[0].what


def test_a_change_that_needs_stages_is_read_whole() -> None:
    """Facts of a running mesh that ask for reflectors give what is wished in the end; stages come from the world."""
    text = _FACTS.replace("single_subnet", "route_reflectors").replace("198.51.100.0/24", "10.48.0.0/16")
    text += "running: {routeDistribution: node-to-node mesh, mtu: 1400}\nplannedNodes: 60\n"
    nodes = "".join(f"  - {{name: n{number}, address: 192.0.2.{number}}}\n" for number in range(3, 60))
    reading = Manifests(frozenset({"route_reflectors"})).read(
        "c", [File("c.yaml", "b", 1)], lambda _: text.replace("subnets:", f"{nodes}subnets:").encode()
    )

    assert reading.problems == ()
    assert reading.resources[Key("BGPConfiguration", "default")].value["spec"]["nodeToNodeMeshEnabled"] is False
    assert reading.facts is not None
    assert (reading.facts.mtu, reading.facts.running_mtu, str(reading.facts.place)) == (1500, 1400, "c.yaml:2:1")


def test_a_folder_on_disk_is_rendered_by_the_same_rules(tmp_path: Path) -> None:
    """Plans before a push see what the reconciler will see."""
    (tmp_path / "cluster.yaml").write_text(_FACTS)
    rendered = read_folder(tmp_path, blueprints=_ALLOWED).resources

    assert set(rendered) == set(_read({"cluster.yaml": _FACTS}).resources)
    assert Key("BGPConfiguration", "default") in rendered
    assert not read_folder(tmp_path).resources
