"""Facts of a cluster may stand beside the resources that follow from them."""

from __future__ import annotations

from reconciler.manifests import Manifests
from reconciler.tree import File

_FACTS = b"""\
apiVersion: blueprints.muslin/v1alpha1
kind: Cluster
name: example
nodes: [{name: node1, address: 192.0.2.1}]
subnets: [192.0.2.0/24]
networkMTU: 1500
podRange: 198.51.100.0/24
"""


def test_facts_beside_resources_are_no_resource() -> None:
    """A cluster file is read without a problem, and nothing is declared by it."""
    reading = Manifests().read("c", [File("cluster.yaml", "b1", len(_FACTS))], lambda _: _FACTS)

    assert reading.problems == ()
    assert reading.resources == {}


def test_wrong_facts_hold_the_commit() -> None:
    """A mistake in the cluster file is told with its line, like any other."""
    wrong = _FACTS.replace(b"networkMTU: 1500", b"networkMTU: many")

    reading = Manifests().read("c", [File("cluster.yaml", "b2", len(wrong))], lambda _: wrong)

    assert [problem.where.split()[0] for problem in reading.problems] == ["cluster.yaml:6:13"]
