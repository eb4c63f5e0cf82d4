"""A server with Calico's kinds in both forms, for tests that break nothing."""

from __future__ import annotations

import pytest

from tests.muslin.datastore.kubernetes.clusters import shared
from tests.support.engines import Missing
from tests.support.kube_apiserver import KubeApiserver


@pytest.fixture
def server() -> KubeApiserver:
    """The server of this worker."""
    try:
        return shared()
    except Missing as missing:
        pytest.skip(str(missing))
