"""`node`: BIRD's own answer where BIRD runs, what the kernel has, and a bundle of diagnostics."""

from __future__ import annotations

import os
import socket
import tarfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from muslin.cli import bird, node
from muslin.cli.bird import BirdFault, BirdPeer, peers_of
from muslin.cli.node_files import missing_modules
from tests.muslin.cli.calico import Calico

_ANSWER = """\
0001 BIRD v0.3.3+birdv1.6.8 ready.
2002-name     proto    table    state  since       info
1002-static1  Static   master   up     2016-11-21
 Mesh_192_0_2_17 BGP      master   up     2016-11-21  Established
 Node_192_0_2_9_port_1790 BGP master start  10:11:12  Active Socket: Connection refused
 Global_192_0_2_1 BGP     master   up     2016-11-21  Established
 Local_Workload_192_0_2_2 BGP master up 2016-11-21 Established
 odd BGP master up 2016-11-21 Established
0000
"""


def test_birds_answer() -> None:
    """Peers with their kinds, also those with a port and of workloads; other protocols are no peers."""
    assert peers_of(_ANSWER.splitlines(), 4) == [
        BirdPeer("192.0.2.17", "node-to-node mesh", "up", "2016-11-21", "Established"),
        BirdPeer("192.0.2.9", "node specific", "start", "10:11:12", "Active Socket: Connection refused"),
        BirdPeer("192.0.2.1", "global", "up", "2016-11-21", "Established"),
        BirdPeer("192.0.2.2", "local workload", "up", "2016-11-21", "Established"),
    ]
    six = "0001 BIRD\n1002-Mesh_2001_db8__2 BGP master up 2016-11-21 Established\n0000\n"
    assert peers_of(six.splitlines(), 6)[0].address == "2001:db8::2"


@pytest.mark.parametrize("answer", ["", "0001 BIRD ready.\n", "2002-a b c\n0000\n", "9001 no\n0000\n", "\0\n"])
def test_answers_that_are_none(answer: str) -> None:
    """Other words, and an answer that ends too early, are faults."""
    with pytest.raises(BirdFault):
        peers_of(answer.splitlines(), 4)


@contextmanager
def _bird(folder: Path, answer: bytes) -> Iterator[None]:
    """A daemon that gives everybody this answer."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listening:
        listening.bind(str(folder / "bird.ctl"))
        listening.listen()

        def serve() -> None:
            connection, _ = listening.accept()
            with connection:
                connection.recv(100)
                connection.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        yield
        thread.join(10)


def test_node_status_of_a_host_with_bird(calico: Calico, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The daemon is asked, and the datastore is not; the family whose daemon is missing says so."""
    for module in (bird, node):
        monkeypatch.setattr(module, "FOLDERS", (str(tmp_path),))
    monkeypatch.setattr(bird.ask, "__defaults__", ((str(tmp_path),),))
    monkeypatch.setenv("MUSLIN_DATASTORE", "/nowhere")
    with _bird(tmp_path, _ANSWER.encode()):
        ran = calico.ctl("node", "status")

    assert (ran.status, ran.err) == (0, "")
    assert "| 192.0.2.17   | node-to-node mesh | up    | 2016-11-21 | Established " in ran.out
    assert "Error querying BIRD: unable to connect to BIRDv6 socket: " in ran.out


def test_modules_are_found_wherever_they_are(tmp_path: Path) -> None:
    """Loaded, loadable, built in, or by the kernel's configuration; a dash and an underscore are the same."""
    modules = tmp_path / "lib/modules/6.1"
    modules.mkdir(parents=True)
    (modules / "modules.dep").write_text("kernel/net/ip_set.ko.xz: kernel/x.ko\nkernel/vfio-pci.ko:\n")
    (modules / "modules.builtin").write_text("kernel/net/ip_tables.ko\n")
    (tmp_path / "sys/module/xt_set").mkdir(parents=True)
    config = tmp_path / "config"
    config.write_text("CONFIG_NETFILTER_XT_MARK=m\n# CONFIG_NETFILTER_XT_MATCH_IPVS is not set\n")
    missing = missing_modules("6.1", str(config), tmp_path)

    assert {"ip_set", "vfio-pci", "ip_tables", "xt_set", "xt_mark"} & set(missing) == set()
    assert {"xt_ipvs", "ip6_tables", "xt_conntrack"} <= set(missing)


def test_host_verbs_need_root(calico: Calico, monkeypatch: pytest.MonkeyPatch) -> None:
    """Told in calicoctl's words to who is not root."""
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    for verb in ("diags", "checksystem"):
        ran = calico.ctl("node", verb)
        assert (ran.status, ran.err.splitlines()[0]) == (1, "Need super user privileges: Operation not permitted")


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_a_kernels_configuration_that_is_not_there_is_told(calico: Calico, tmp_path: Path) -> None:
    """It was named by somebody, who must not take the result for one that knows it."""
    assert "none can't be read" in calico.ctl("node", "checksystem", "-f", tmp_path / "none").err
    (tmp_path / "config").write_text("CONFIG_IP_SET=y\n")
    assert "can't be read" not in calico.ctl("node", "checksystem", "-f", tmp_path / "config").err


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_a_bundle_of_diagnostics(calico: Calico, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One archive with a file for each command, also for those that are not installed, and the logs."""
    logs = tmp_path / "logs"
    logs.mkdir()
    (logs / "felix.log").write_text("x")
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    ran = calico("node", "diags", "--log-dir", logs)
    bundle = next(line.removeprefix("Diags saved to ") for line in ran.out.splitlines() if line.startswith("Diags"))

    assert ran.status == 0
    with tarfile.open(bundle) as archive:
        assert {"diagnostics/date", "diagnostics/nft_ruleset", "diagnostics/logs/felix.log"} <= set(archive.getnames())
