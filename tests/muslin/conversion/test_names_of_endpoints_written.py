"""A WorkloadEndpoint that somebody writes bears the name that its parts give."""

from __future__ import annotations

import pytest

from muslin.cli.client import checked
from muslin.cli.documents import Given
from muslin.conversion.endpoint_name import name_problems
from muslin.errors import BadInput

_SPEC = {"node": "node-1", "orchestrator": "k8s", "pod": "web-0", "endpoint": "eth0", "interfaceName": "cali1"}


@pytest.mark.parametrize(
    ("name", "spec", "what"),
    [
        ("node--1-k8s-web--0-eth0", _SPEC, None),
        (
            "node-1-cni-abc-eth0",
            {"node": "node-1", "orchestrator": "cni", "containerID": "abc", "endpoint": "eth0"},
            "--1",
        ),
        ("web-0", _SPEC, "expected name node--1-k8s-web--0-eth0"),
        ("web-0", {}, "part node"),
        ("web-0", {**_SPEC, "pod": ""}, "part pod"),
    ],
)
def test_the_name_follows_from_the_parts(name: str, spec: dict[str, str], what: str | None) -> None:
    """Another name is refused with the right one; a part that is missing is named."""
    problems = name_problems(name, spec)

    assert bool(problems) is (what is not None)
    if what is not None:
        assert what in problems[0].what


def test_writing_under_another_name_is_refused() -> None:
    """The verbs that write refuse it; the check of a file alone does not, as the reference's."""
    value = {
        "apiVersion": "projectcalico.org/v3",
        "kind": "WorkloadEndpoint",
        "metadata": {"name": "web-0", "namespace": "shop"},
        "spec": _SPEC,
    }

    with pytest.raises(BadInput, match="expected name node--1-k8s-web--0-eth0"):
        checked(Given(value, "web.yaml", None))
    assert checked(Given(value, "web.yaml", None), stored=False)["metadata"]["name"] == "web-0"
