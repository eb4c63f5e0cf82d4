"""A kube-apiserver for these tests alone: what others leave in a shared one would refuse some of their objects."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.engines import Missing
from tests.support.kube_apiserver import KubeApiserver


@pytest.fixture(scope="package")
def kube_apiserver() -> Iterator[KubeApiserver]:
    """The server of this worker's tests of definitions."""
    try:
        server = KubeApiserver().__enter__()
    except Missing as missing:
        pytest.skip(str(missing))
    try:
        yield server
    finally:
        server.stop()
