"""Options for all tests; what a machine lacks is found out once and told as the reason of what is skipped for it."""

from __future__ import annotations

import functools
import gc
import shutil

import pytest

from muslin.errors import Failed
from muslin.lab import world
from tests.support.engines import Missing, program
from tests.support.kube_apiserver import kube_apiserver, namespace

__all__ = ["kube_apiserver", "namespace"]

_PACKAGES = {
    "ip": "iproute2",
    "unshare": "util-linux",
    "nsenter": "util-linux",
    "nft": "nftables",
    "ping": "iputils-ping",
    "conntrack": "conntrack",
}

# Thousands of collected tests live to the end: with the usual thresholds a quarter of the time goes into looking at
# them again and again. Cycles are still collected, less often.
gc.set_threshold(50_000, 10, 20)


def pytest_collection_finish() -> None:
    """What was collected stays: no later look of the garbage collector needs to pass over it."""
    gc.freeze()


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--update-expected` rewrites the expected files of scenarios and refusals; review them as a diff."""
    parser.addoption("--update-expected", action="store_true", help="rewrite expected files instead of comparing")


@functools.cache
def _no_namespaces() -> str | None:
    """Why tests in namespaces of their own can't run here."""
    folders = world.environment()["PATH"]
    lacking = {program: package for program, package in _PACKAGES.items() if not shutil.which(program, path=folders)}
    if lacking:
        packages = " ".join(sorted(set(lacking.values())))
        return f"missing here: {', '.join(lacking)}; as root: apt-get install {packages}"
    try:
        world.way_in()
    except Failed as refusal:
        return " ".join(str(refusal).split())
    return None


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip what needs namespaces where there can be none, and what needs servers that are not here.

    `engines("etcd")` needs etcd alone; without arguments it is etcd and kube-apiserver.
    """
    if item.get_closest_marker("netns") and (reason := _no_namespaces()):
        pytest.skip(reason)
    if marker := item.get_closest_marker("engines"):
        try:
            for name in marker.args or ("kube-apiserver", "etcd"):
                program(name)
        except Missing as missing:
            pytest.skip(str(missing))
