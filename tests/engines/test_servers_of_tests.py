"""Real servers start, keep what was written, and leave neither a process nor a folder."""

from __future__ import annotations

import base64
import http.client
import os
import select
import signal
import ssl
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.support.engines import StartFailed, program, workspace
from tests.support.etcd_server import EtcdServer, Refused
from tests.support.kube_apiserver import KubeApiserver

_ROOT = Path(__file__).parents[2]


def _key(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def _put(etcd: EtcdServer, key: str, token: str | None = None) -> None:
    etcd.call("/v3/kv/put", {"key": _key(key), "value": _key("written")}, token=token)


def _ended(pidfd: int) -> bool:
    try:
        return bool(select.select([pidfd], [], [], 30)[0])
    finally:
        os.close(pidfd)


@pytest.mark.engines("etcd")
def test_etcd_keeps_its_data_when_killed_and_leaves_nothing() -> None:
    """What was written is there after SIGKILL at the same endpoint; afterwards process and folder are gone."""
    with EtcdServer() as etcd:
        endpoint = etcd.endpoint
        _put(etcd, "/a")
        etcd.kill()
        with pytest.raises(OSError, match="refused"):
            _put(etcd, "/b")
        etcd.restart()
        found = etcd.call("/v3/kv/range", {"key": _key("/a")})
        folder, pid = etcd._server.log.parent, etcd.pid
        assert pid is not None
        watched = os.pidfd_open(pid)

    assert (found["count"], etcd.endpoint) == ("1", endpoint)
    assert _ended(watched)
    assert not folder.exists()


@pytest.mark.engines("etcd")
def test_etcd_asks_for_a_certificate() -> None:
    """With client certificates, a client that has none gets no answer and ours does."""
    with EtcdServer(client_certificates=True) as etcd:
        _put(etcd, "/a")
        assert etcd.ca_file is not None
        bare = http.client.HTTPSConnection(
            "127.0.0.1",
            int(etcd.endpoint.rpartition(":")[2]),
            context=ssl.create_default_context(cafile=etcd.ca_file),
            timeout=20,
        )

        def ask() -> None:
            bare.request("GET", "/health")
            bare.getresponse()

        with pytest.raises((ssl.SSLError, ConnectionError)):
            ask()
        bare.close()


@pytest.mark.engines("etcd")
def test_etcd_asks_for_passwords() -> None:
    """A user reads and writes below its prefix and nowhere else, and nobody without a name."""
    with EtcdServer() as etcd:
        etcd.enable_auth("secret", {"limited": ("other", "/calico/")})
        token = etcd.log_in("limited", "other")
        _put(etcd, "/calico/a", token)
        with pytest.raises(Refused, match="permission denied"):
            _put(etcd, "/registry/a", token)
        with pytest.raises(Refused, match="user name is empty"):
            _put(etcd, "/calico/a")
        with pytest.raises(Refused, match="invalid user ID or password"):
            etcd.log_in("limited", "wrong")


@pytest.mark.engines("etcd")
def test_a_paused_server_answers_again_when_it_goes_on() -> None:
    """A request to a paused server waits, and is answered once it runs again."""
    with EtcdServer() as etcd:
        etcd.pause()
        connection = http.client.HTTPConnection("127.0.0.1", int(etcd.endpoint.rpartition(":")[2]), timeout=0.3)
        connection.request("GET", "/health")
        with pytest.raises(TimeoutError):
            connection.getresponse()
        connection.close()
        etcd.resume()
        _put(etcd, "/a")


@pytest.mark.engines
def test_kube_apiserver_keeps_its_data_when_killed_and_leaves_nothing() -> None:
    """A namespace outlives SIGKILL of server and etcd; tokens and certificates are users; nothing stays behind."""
    with KubeApiserver() as server:
        url, name = server.url, server.new_namespace()
        server.kill()
        with pytest.raises(OSError, match="refused"):
            server.request("GET", "/version")
        server.etcd.restart()
        server.start()
        found = server.request("GET", f"/api/v1/namespaces/{name}")
        stranger = server.request("GET", "/api/v1/namespaces", token=server.user_token)
        pids = [server.pid, server.etcd.pid]
        watched = [os.pidfd_open(pid) for pid in pids if pid is not None]
        folder = server.folder

    assert (found.status, stranger.status, server.url) == (200, 403, url)
    assert "alice" in stranger["message"]
    assert [_ended(each) for each in watched] == [True, True]
    assert not folder.exists()


_CHILD = """
import os, signal
from tests.support.etcd_server import EtcdServer
etcd = EtcdServer().__enter__()
print(etcd.pid, etcd._server.log.parent, flush=True)
signal.pause()
"""


@pytest.mark.engines("etcd")
def test_servers_end_with_a_test_run_that_is_killed() -> None:
    """After SIGKILL of whoever started it a server ends, and the next run removes its folder."""
    with subprocess.Popen([sys.executable, "-c", _CHILD], cwd=_ROOT, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        pid, _, name = child.stdout.readline().strip().partition(" ")
        watched = os.pidfd_open(int(pid))
        child.send_signal(signal.SIGKILL)
    folder = Path(name)
    assert _ended(watched)
    long_ago = time.time() - 3600
    os.utime(folder, (long_ago, long_ago))
    with workspace("next"):
        assert not folder.exists()


def test_the_folder_of_a_living_run_is_left_alone() -> None:
    """However old it is, a folder that somebody uses is not swept."""
    with workspace("one") as used:
        long_ago = time.time() - 3600
        os.utime(used, (long_ago, long_ago))
        with workspace("two"):
            assert used.is_dir()
    assert not used.exists()


@pytest.mark.engines("etcd")
def test_a_server_that_can_not_start_says_why() -> None:
    """The end of its log is in the error, and no process is left."""
    with pytest.raises(StartFailed, match="no-such-flag"):
        EtcdServer(arguments=["--no-such-flag"]).__enter__()


@pytest.mark.engines("etcd")
def test_a_packed_program_is_unpacked_once() -> None:
    """The same file is given again and again, and it can be run."""
    first = program("etcd")
    program.cache_clear()
    before = first.stat().st_ino

    assert (program("etcd"), first.stat().st_ino) == (first, before)
    assert os.access(first, os.X_OK)
