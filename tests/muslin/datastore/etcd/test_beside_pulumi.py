"""The messages for etcd and those of Pulumi in one process: one protobuf serves both."""

from __future__ import annotations

import subprocess
import sys

import pytest

_OURS = (
    "from muslin.datastore.etcd import rpc_pb2 as rpc\n"
    "assert rpc.RangeRequest.FromString(rpc.RangeRequest(key=b'x').SerializeToString()).key == b'x'\n"
)
_PULUMIS = (
    "import pulumi\n"
    "from pulumi.runtime.proto import engine_pb2\n"
    "made = engine_pb2.LogRequest(message='x').SerializeToString()\n"
    "assert engine_pb2.LogRequest.FromString(made).message == 'x'\n"
)


@pytest.mark.slow
@pytest.mark.parametrize("code", [_OURS + _PULUMIS, _PULUMIS + _OURS], ids=["ours first", "pulumis first"])
def test_both_load_and_work(code: str) -> None:
    """In either order, with warnings as errors where they are ours: a release of protobuf that is too old warns."""
    asked = [sys.executable, "-W", "error::UserWarning:google.protobuf", "-c", code]
    done = subprocess.run(asked, capture_output=True, text=True, check=False)

    assert (done.returncode, done.stderr) == (0, "")
