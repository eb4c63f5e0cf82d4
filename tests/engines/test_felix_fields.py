"""A real API server with our definition of FelixConfiguration takes and refuses its fields as the model does."""

from __future__ import annotations

from typing import Any

import pytest

from muslin.resources.crds import definitions
from tests.support.felix_fields import ACCEPTED, RANGES, REFUSED, felix_manifest
from tests.support.kube_apiserver import KubeApiserver

pytestmark = pytest.mark.engines

_SAID_BY_MODELS_ONLY = (
    "spec.bpfDSROptoutCIDRs[0]",
    "spec.bpfLogFilters",
    "spec.healthTimeoutOverrides[0].name",
    "spec.healthTimeoutOverrides[0].timeout",
    "spec.kubeNodePortRanges[0]",
    "spec.mtuIfacePattern",
    "spec.openstackRegion",
)
"""Places of mistakes that the reference's client finds by itself, not by its definition."""


@pytest.fixture(scope="module")
def server(kube_apiserver: KubeApiserver) -> KubeApiserver:
    """The API server with the definition."""
    (definition,) = (each for each in definitions() if each["spec"]["names"]["kind"] == "FelixConfiguration")
    kube_apiserver.install(definition)
    return kube_apiserver


def _accepted(server: KubeApiserver, spec: dict[str, Any]) -> bool:
    path = "/apis/projectcalico.org/v3/felixconfigurations?dryRun=All&fieldValidation=Strict"
    answer = server.request("POST", path, felix_manifest(spec))
    assert answer.status in {201, 400, 422}, answer
    return answer.status == 201


def test_the_server_accepts_what_the_model_accepts(server: KubeApiserver) -> None:
    """No spec that the model takes is refused."""
    assert [spec for spec in ACCEPTED if not _accepted(server, spec)] == []


def test_the_server_refuses_what_the_model_refuses(server: KubeApiserver) -> None:
    """What the server takes and the model does not is known, place by place."""
    taken = {where for spec, where in REFUSED if _accepted(server, spec)}

    assert taken == set(_SAID_BY_MODELS_ONLY)


def test_the_server_has_the_model_s_ranges(server: KubeApiserver) -> None:
    """Both ends of each range are accepted, one beyond is refused."""
    found = {
        field: [_accepted(server, {field: value}) for value in (low - 1, low, high, high + 1)]
        for field, low, high in RANGES
    }

    assert found == {field: [False, True, True, False] for field, _, _ in RANGES}
