"""`datastore migrate`: lock, unlock, export, import."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from muslin.datastore.embedded import EmbeddedDatastore
from tests.muslin.cli.calico import BOTH, POOL, Calico, manifest
from tests.muslin.cli.test_ipam_verbs import books

__all__ = ["books"]

_NODE = manifest("Node", "n1", "{orchRefs: [{nodeName: kube-n1, orchestrator: k8s}]}")


def _empty(file: Path) -> Path:
    async def make() -> None:
        await EmbeddedDatastore.open(file).close()

    asyncio.run(make())
    return file


def test_lock_and_unlock(calico: Calico) -> None:
    """Both say so, are the same when repeated, and set the flag that nodes look at."""
    said = [calico("datastore", "migrate", verb).out for verb in ("lock", "lock")]
    locked = calico.get("clusterinfo", "default")["spec"]["datastoreReady"]
    said.append(calico("datastore", "migrate", "unlock").out)

    assert said == ["Datastore locked.\n", "Datastore locked.\n", "Datastore unlocked.\n"]
    assert (locked, calico.get("clusterinfo", "default")["spec"]["datastoreReady"]) == (False, True)


def test_what_is_exported_is_imported(books: Calico) -> None:
    """Objects, the cluster's identity and addresses arrive; nodes by the names that Kubernetes has for them."""
    calico = books
    calico.apply("---\n".join([BOTH, _NODE, manifest("FelixConfiguration", "node.n1", "{logSeverityScreen: Debug}")]))
    assert calico("delete", "node", "node1").status == 0
    unlocked = calico.ctl("datastore", "migrate", "export")
    calico("datastore", "migrate", "lock")
    exported = calico("datastore", "migrate", "export")
    file = calico.write(exported.out, "all.txt")
    target = _empty(calico.folder / "target.db")
    ran = calico("datastore", "migrate", "import", "-f", file, "--datastore", target)
    again = calico("datastore", "migrate", "import", "-f", file, "--datastore", target)

    assert unlocked.err.startswith(
        "datastore is not locked. Run the `calicoctl datastore migrate lock` command in order"
    )
    assert (exported.status, ran.status) == (0, 0), exported.err + ran.err
    resources, information, addresses = exported.out.split("===\n")
    assert resources.count("---\n") == 17
    assert set(json.loads(addresses)) == {"blocks", "handles"}
    assert json.loads(addresses)["blocks"][0]["Key"] == "/calico/ipam/v2/assignment/ipv4/block/10.48.0.0-26"
    at = ("--datastore", target)
    assert [each["metadata"]["name"] for each in calico.get("nodes", *at)["items"]] == ["kube-n1"]
    assert calico.get("felixconfig", "node.kube-n1", *at)["spec"]["logSeverityScreen"] == "Debug"
    assert calico.get("np", "web", "-n", "shop", *at)["spec"]["tier"] == "sec"
    spec = calico.get("clusterinfo", "default", *at)["spec"]
    assert (spec["clusterGUID"], spec["datastoreReady"]) == (json.loads(information)["spec"]["clusterGUID"], False)
    assert calico("ipam", "show", "--ip", "10.48.0.2", *at).out.startswith("IP 10.48.0.2 is in use")
    assert again.status == 1
    assert "already" in again.err.splitlines()[0]


def test_a_node_that_kubernetes_does_not_know(calico: Calico) -> None:
    """Without its name over there a node can't be exported, and that is told."""
    calico.apply(manifest("Node", "lonely", "{}"))
    calico("datastore", "migrate", "lock")
    ran = calico.ctl("datastore", "migrate", "export")

    assert ran.status == 1
    assert "node lonely missing a 'k8s' orchestrator reference" in ran.err.splitlines()[0]


@pytest.mark.parametrize(
    "text", ["", "a\n===\nb\n", "a: [\n===\n{}\n===\n{}\n", f"{POOL}===\nx\n===\n{{}}\n", "\0===\n===\n===\n"]
)
def test_files_that_are_no_export(calico: Calico, text: str) -> None:
    """Refused with their name before anything is written."""
    file = calico.write(text, "all.txt")
    ran = calico("datastore", "migrate", "import", "-f", file)

    assert (ran.status, "Traceback" in ran.err, str(file) in ran.err) == (2, False, True), ran.err
    assert calico.get("tiers")["items"] == []


def test_import_by_the_name_of_calicoctl_is_into_kubernetes(calico: Calico) -> None:
    """As the reference has it; `muslin` imports into any."""
    ran = calico.ctl("datastore", "migrate", "import", "-f", calico.write(f"{POOL}===\n{{}}\n===\n{{}}\n", "all.txt"))

    assert (ran.status, ran.err.startswith("Invalid datastore type: ")) == (1, True)
