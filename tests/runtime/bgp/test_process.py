"""The speaker as a process, and the way from node state to its settings."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import tempfile
from dataclasses import replace
from ipaddress import IPv4Address, IPv4Network, ip_address
from pathlib import Path

import pytest

from muslin.net import AsNumber, ClusterId
from muslin.semantics.sessions import Session, SessionKind
from runtime.bgp.desired import desired
from runtime.bgp.link import Desired, decode, encode
from runtime.bgp.settings import PeerSettings, SpeakerSettings
from runtime.calc.state import NodeState

PEER = IPv4Address("192.0.2.2")


def test_the_process_imports_little() -> None:
    """No third-party module and none of ours that it does not need: it reads bytes from strangers."""
    program = (
        "import sys, runtime.bgp.main\n"
        "ours = sorted(n for n in sys.modules if n.split('.')[0] in ('muslin', 'runtime', 'reconciler'))\n"
        "bad = [n for n in ('pydantic', 'pyroute2', 'click', 'rich', 'sqlite3', 'git', 'exabgp') if n in sys.modules]\n"
        "print([n for n in ours if not n.startswith('runtime.bgp')], bad)"
    )
    output = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout

    assert output.strip() == "['muslin', 'muslin.errors', 'muslin.net', 'runtime'] []"


def test_the_process_stops_when_told() -> None:
    """SIGTERM ends it with status 0 and takes the socket away; a missing argument or directory is said."""
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "s"
        process = subprocess.Popen(
            [sys.executable, "-m", "runtime.bgp.main", "--socket", str(path)], stderr=subprocess.PIPE, text=True
        )
        assert process.stderr is not None
        assert "ready" in process.stderr.readline()
        with socket.socket(socket.AF_UNIX) as agent:
            agent.connect(str(path))
            assert agent.recv(10)
        process.send_signal(signal.SIGTERM)
        _, rest = process.communicate(timeout=10)

        assert process.returncode == 0
        assert "stopped" in rest
        assert "Traceback" not in rest
        assert not path.exists()


def test_settings_of_a_node_state() -> None:
    """Every field of a session reaches the speaker; a session without its password is left out and told."""
    session = Session(
        PEER, AsNumber(64496), AsNumber(64512), SessionKind.NODE_PEER, 1790, IPv4Address("192.0.2.1"), True, "node-2",
        ClusterId("192.0.2.9"), 30, 60, 2, ("bgp-secrets", "node-2"),
    )  # fmt: skip
    block, pool = IPv4Network("10.48.0.0/26"), IPv4Network("10.48.0.0/16")
    state = NodeState("node-1", "7", sessions=(session,), originated=(block,), importable=(pool,), listen_port=1791)
    router_id = IPv4Address("192.0.2.1")
    peer = PeerSettings(
        PEER, 64496, 64512, 1790, "NodePeer", "node-2", router_id, True, IPv4Address("192.0.2.9"), 30, 60, 2, "secret"
    )
    listen = (IPv4Address("0.0.0.0"),)
    wanted = SpeakerSettings(router_id, listen, 1791, (peer,), (block,), (pool,), 5.0, 60.0)

    assert desired(state, router_id=router_id, passwords={("bgp-secrets", "node-2"): "secret"}) == (wanted, ())
    without, problems = desired(state, router_id=router_id)
    assert without == replace(wanted, peers=(), listen=(), restart_wait_s=0.0)
    assert [problem.where for problem in problems] == ["Secret bgp-secrets, key node-2"]


@pytest.mark.parametrize(
    ("address", "peer_as", "local_as"),
    [
        ("192.0.2.2", 0, 64512), ("192.0.2.2", 64512, 0), ("0.0.0.0", 1, 1), ("224.0.0.5", 1, 1), ("127.0.0.1", 1, 1),
        ("255.255.255.255", 1, 1), ("::", 1, 1), ("ff02::1", 1, 1),
    ],
)  # fmt: skip
def test_a_session_that_cannot_be_is_told_and_the_others_run(address: str, peer_as: int, local_as: int) -> None:
    """An impossible AS number or address keeps one session from being, and not the speaker from what it is told."""
    good = Session(PEER, AsNumber(64512), AsNumber(64512), SessionKind.NODE_MESH)
    bad = replace(good, peer_address=ip_address(address), peer_as=AsNumber(peer_as), local_as=AsNumber(local_as))
    settings, problems = desired(NodeState("node-1", "7", sessions=(bad, good)), router_id=IPv4Address("192.0.2.1"))
    assert [peer.address for peer in settings.peers] == [PEER]
    assert decode(encode(Desired(settings))) == Desired(settings)
    assert len(problems) == 1
