"""Probes from a real pod's network namespace: what the kernel says is what is answered."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import tempfile
import threading
from collections.abc import Iterator
from ipaddress import ip_address
from pathlib import Path

import pytest

from muslin.resources.keys import Key
from runtime.cni.answer import done
from runtime.cni.request import Request, decode
from runtime.cni.server import PodNamespace
from runtime.probe_namespaces import PodNamespaces
from runtime.probe_request import Answer, Ask, Traffic, Word
from runtime.probe_sockets import PodAsker
from tests.runtime.cni.frames import NETWORK, payload
from tests.support.netns import entered, ip, isolated, new_namespace

_POD, _SERVER = ip_address("198.51.100.1"), "198.51.100.2"
_ENDPOINT = Key("WorkloadEndpoint", "n1-k8s-web-eth0", "shop")


@contextlib.contextmanager
def _network() -> Iterator[tuple[int, int]]:
    """Two namespaces with a link: a pod's, and one where TCP and UDP are served on port 7 and nothing on port 9."""
    pod, server = new_namespace(), new_namespace()
    ip(f"link add eth0 netns {_path(pod)} type veth peer name eth0 netns {_path(server)}")
    for namespace, address in ((pod, str(_POD)), (server, _SERVER)):
        ip(f"address add {address}/24 dev eth0", namespace)
        ip("link set eth0 up", namespace)
    ip("address add 2001:db8::1/64 dev eth0 nodad", pod)
    ip("address add 2001:db8::2/64 dev eth0 nodad", server)
    with entered(server):
        datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        listener = socket.create_server((_SERVER, 7))
    datagrams.bind((_SERVER, 7))

    def echo() -> None:
        with contextlib.suppress(OSError):
            while True:
                data, client = datagrams.recvfrom(100)
                if data == b"end":
                    return
                datagrams.sendto(data, client)

    thread = threading.Thread(target=echo)
    thread.start()
    try:
        yield pod, server
    finally:
        with entered(server), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as last:
            last.sendto(b"end", (_SERVER, 7))
        thread.join()
        datagrams.close()
        listener.close()


def _path(namespace: int) -> str:
    return f"/proc/{os.getpid()}/fd/{namespace}"


def _here() -> tuple[Path, Path]:
    return Path("/proc/self/ns/net").readlink(), Path("/proc/thread-self/ns/net").readlink()


def _asked(path: str | None, target: str, traffic: Traffic, port: int = 0, source: str = str(_POD)) -> Answer:
    ask = Ask("p/0", _ENDPOINT, ip_address(target), traffic, port, 0.15)
    return asyncio.run(PodAsker(lambda _: path).ask("caliweb", ip_address(source), ask))


@isolated
def test_what_the_kernel_says_is_what_is_answered() -> None:
    """Served, refused, and silent, over TCP, UDP and ICMP of both versions; the caller stays where it was."""
    before = _here()
    with _network() as (pod, _):
        path = _path(pod)
        assert _asked(path, _SERVER, Traffic.TCP, 7) == Answer(Word.ANSWERED)
        assert _asked(path, _SERVER, Traffic.TCP, 9) == Answer(Word.REFUSED)
        assert _asked(path, "198.51.100.77", Traffic.TCP, 7) == Answer(Word.SILENT)
        assert _asked(path, "203.0.113.1", Traffic.TCP, 7) == Answer(Word.SILENT)
        assert _asked(path, _SERVER, Traffic.UDP, 7) == Answer(Word.ANSWERED)
        assert _asked(path, _SERVER, Traffic.UDP, 9) == Answer(Word.REFUSED)
        assert _asked(path, "198.51.100.77", Traffic.UDP, 7) == Answer(Word.SILENT)
        assert _asked(path, _SERVER, Traffic.ICMP) == Answer(Word.ANSWERED)
        assert _asked(path, "198.51.100.77", Traffic.ICMP) == Answer(Word.SILENT)
        assert _asked(path, "2001:db8::2", Traffic.ICMP, source="2001:db8::1") == Answer(Word.ANSWERED)
        assert _asked(path, "2001:db8::2", Traffic.TCP, 7, source="2001:db8::1") == Answer(Word.REFUSED)
    assert _here() == before


@isolated
def test_another_pods_network_is_not_asked_from() -> None:
    """A namespace without the pod's address, the node's own, a file, nothing: no packet leaves, and it is said."""
    with _network() as (pod, server):
        assert _asked(_path(server), _SERVER, Traffic.TCP, 7) == Answer(Word.NO_POD)
        assert _asked(_path(pod), _SERVER, Traffic.TCP, 7, source="198.51.100.50") == Answer(Word.NO_POD)
        assert _asked("/proc/self/ns/net", _SERVER, Traffic.TCP, 7) == Answer(Word.NO_POD)
        assert _asked("/proc/self/ns/mnt", _SERVER, Traffic.TCP, 7) == Answer(Word.NO_POD)
        assert _asked("/dev/null", _SERVER, Traffic.TCP, 7) == Answer(Word.NO_POD)
        assert _asked("/nowhere", _SERVER, Traffic.TCP, 7) == Answer(Word.NO_POD)
        assert _asked(None, _SERVER, Traffic.TCP, 7).word is Word.NOT_ABLE


@isolated
def test_a_cancelled_attempt_leaves_nothing() -> None:
    """Cancelled before the thread has made its socket, or while it waits: no descriptor stays."""

    async def scenario(path: str) -> None:
        asker = PodAsker(lambda _: path)
        ask = Ask("p/0", _ENDPOINT, ip_address("198.51.100.77"), Traffic.TCP, 7, 3.0)
        before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208
        for after_s in (0.0, 0.0, 0.05):
            task = asyncio.ensure_future(asker.ask("caliweb", _POD, ask))
            await asyncio.sleep(after_s)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        async with asyncio.timeout(5):
            while any(each.name == "probe" for each in threading.enumerate()):  # noqa: ASYNC110 - a thread tells nobody
                await asyncio.sleep(0.01)
        await asyncio.sleep(0)
        assert len(os.listdir("/proc/self/fd")) == before  # noqa: PTH208

    with _network() as (pod, _):
        asyncio.run(scenario(_path(pod)))


def _request(command: str, netns: str) -> Request:
    identity = {"namespace": "shop", "name": "web"}
    return decode(payload({**NETWORK, "pod": identity}, command=command, netns=netns))


def test_where_a_pod_is_is_remembered_and_forgotten() -> None:
    """After ADD also by the next agent, until DEL; a failed ADD and a DEL of an older sandbox change nothing."""

    async def attach(request: Request, namespace: PodNamespace | None) -> object:
        del namespace
        return refusal if request.netns == "/run/netns/bad" else done()

    refusal = Answer
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "pods"
        first = PodNamespaces(folder, attach)  # type: ignore[arg-type]  # the refusal's form is of no interest
        refusal = type("Refused", (), {"status": 1})  # type: ignore[assignment]
        asyncio.run(first.handle(_request("ADD", "/run/netns/bad"), None))
        assert not folder.exists()
        asyncio.run(first.handle(_request("ADD", "/run/netns/one"), None))
        asyncio.run(first.handle(_request("ADD", "/run/netns/two"), None))
        (interface,) = (each.name for each in folder.iterdir())
        second = PodNamespaces(folder, attach)  # type: ignore[arg-type]  # as above
        assert second.path_of(interface) == "/run/netns/two"
        asyncio.run(second.handle(_request("DEL", "/run/netns/one"), None))
        assert second.path_of(interface) == "/run/netns/two"
        asyncio.run(second.handle(_request("DEL", "/run/netns/two"), None))
        assert second.path_of(interface) is None


def test_what_never_opens_and_threads_that_never_start_hold_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where a pod's network should be is a FIFO without a writer; then no thread can be had: both are answered."""
    fifo = tmp_path / "network"
    os.mkfifo(fifo)
    assert _asked(str(fifo), _SERVER, Traffic.TCP, 7) == Answer(Word.NO_POD)

    def no_more(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", no_more)
    answer = _asked(str(fifo), _SERVER, Traffic.TCP, 7)
    assert (answer.word, "can't start new thread" in answer.detail) == (Word.NOT_ABLE, True)
