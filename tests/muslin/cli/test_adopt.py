"""`muslin adopt` before any cluster is asked: exported stacks, their mark, and datastores that are not Kubernetes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from muslin.cli.main import main
from muslin.cli.pulumi_state import marked, read_state
from muslin.errors import BadInput
from muslin.resources.keys import Key


def _resource(type_: str, name: str, namespace: str | None = None, **options: Any) -> dict[str, Any]:
    metadata = {"name": name, **({"namespace": namespace} if namespace else {})}
    urn = f"urn:pulumi:prod::network::{type_}::{name}"
    return {"urn": urn, "type": type_, "custom": True, "inputs": {"metadata": metadata}, **options}


_STATE = {
    "version": 3,
    "deployment": {
        "manifest": {"version": "v3.272.0"},
        "resources": [
            {"urn": "urn:pulumi:prod::network::pulumi:pulumi:Stack::network-prod", "type": "pulumi:pulumi:Stack"},
            _resource("pulumi:providers:kubernetes", "k"),
            _resource("kubernetes:projectcalico.org/v3:IPPool", "pool", protect=True),
            _resource("kubernetes:projectcalico.org/v3:NetworkPolicy", "open", "shop"),
            _resource("kubernetes:projectcalico.org/v3:FelixConfigurationPatch", "default"),
            _resource("kubernetes:core/v1:NodePatch", "node-a"),
            _resource("kubernetes:core/v1:Secret", "bgp", "kube-system"),
            _resource("kubernetes:projectcalico.org/v3:CalicoNodeStatus", "sessions-of-node-a"),
        ],
    },
}


def test_which_objects_a_stack_has() -> None:
    """Calico's kinds and Nodes are the reconciler's to take; a Secret stays, and what asks for reports is Pulumi's."""
    exported = read_state(json.dumps(_STATE), "file")

    assert exported.stack == "prod"
    assert [each.key for each in exported.objects] == [
        Key("IPPool", "pool"), Key("NetworkPolicy", "open", "shop"), Key("FelixConfiguration", "default"),
        Key("Node", "node-a"), None,
    ]  # fmt: skip
    assert exported.objects[-1].name == "Secret/kube-system/bgp"
    assert len(exported.unmarked) == 5


def test_the_mark() -> None:
    """Marked, every object stays when the stack goes and none is protected; all else is as it was."""
    again = marked(read_state(json.dumps(_STATE), "file"))
    options = {each["urn"].rpartition("::")[2]: (each.get("retainOnDelete"), each.get("protect"))
               for each in again["deployment"]["resources"]}  # fmt: skip

    assert options["pool"] == (True, None)
    assert options["sessions-of-node-a"] == options["k"] == (None, None)
    assert again["deployment"]["manifest"] == {"version": "v3.272.0"}
    assert read_state(json.dumps(again), "file").unmarked == ()


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"version": 3}', '{"version": "3", "deployment": {}}', "\xff"])
def test_what_is_no_state(text: str) -> None:
    """Anything else is wrong input, never a traceback."""
    with pytest.raises(BadInput):
        read_state(text, "file")


def test_a_datastore_that_pulumi_does_not_write_to(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Objects of Pulumi are in Kubernetes; with another datastore nothing is handed over."""
    state, store = tmp_path / "prod.json", str(tmp_path / "lab.db")
    state.write_text(json.dumps(marked(read_state(json.dumps(_STATE), "file"))), "utf-8")
    pool = tmp_path / "pool.yaml"
    pool.write_text(
        "apiVersion: projectcalico.org/v3\nkind: IPPool\nmetadata: {name: a}\nspec: {cidr: 10.48.0.0/16}\n", "utf-8"
    )
    for arguments, status in ((["apply", "-f", str(pool)], 0), (["adopt", str(state)], 2)):
        with pytest.raises(SystemExit) as ended:
            main([*arguments, "--datastore", store])
        assert (ended.value.code or 0) == status

    assert "Pulumi's objects are in Kubernetes, and this datastore is another" in capsys.readouterr().err
