"""The agent's side of probes: what is asked is answered, while it is asked, and within bounds."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from itertools import pairwise
from typing import Any

from muslin.datastore.memory import MemoryDatastore
from muslin.datastore.protocol import Forbidden, Listing
from muslin.net import Address
from muslin.resources.keys import Key
from muslin.resources.workload_endpoint import WorkloadEndpoint
from muslin.semantics.snapshot import Snapshot
from runtime.probe_request import Answer, Ask, Word
from runtime.probing import Probing
from tests.support.clusters import workload
from tests.support.virtual_time import run_virtual

_KEY = Key("ReconcilerProbe", "prod.n1")


def _pod(name: str, address: str, on: str = "n1") -> WorkloadEndpoint:
    return workload(f"{on}-k8s-{name}-eth0", address, on=on, namespace="shop", pod=name, interfaceName=f"cali{name}")


class _Asker:
    """Says of every target what it is told to, and remembers who asked."""

    def __init__(self) -> None:
        self.words: dict[str, Word] = {}
        self.asked: list[tuple[float, str, str, str]] = []
        self.under_way = self.most = 0

    async def ask(self, interface: str, source: Address, ask: Ask) -> Answer:
        self.asked.append((asyncio.get_running_loop().time(), interface, str(source), str(ask.target)))
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        try:
            word = self.words.get(str(ask.target), Word.ANSWERED)
            await asyncio.sleep(ask.timeout_s if word is Word.SILENT else 0.01)
        finally:
            self.under_way -= 1
        return Answer(word)


class _Node:
    """An agent's part that answers, over a datastore in memory."""

    def __init__(self) -> None:
        self.store = MemoryDatastore()
        self.asker = _Asker()
        self.applied: str | None = "10"
        self.snapshot = Snapshot.of([_pod("web", "10.48.0.1/32"), _pod("far", "10.48.0.2/32", "n2")])
        self.failures: list[BaseException] = []
        self.probing = Probing(
            "n1", self.store.client(), self.asker, snapshot=lambda: self.snapshot, applied=lambda: self.applied,
            on_failure=lambda error, _: self.failures.append(error),
        )  # fmt: skip

    async def ask(self, *targets: str, mark: str = "m", after: int = 0, node: str = "n1", pod: str = "web") -> None:
        pairs = [
            {
                "id": f"p/{number}", "namespace": "shop", "endpoint": f"n1-k8s-{pod}-eth0", "target": target,
                "protocol": "TCP", "port": 80, "timeoutMilliseconds": 500,
            }
            for number, target in enumerate(targets)
        ]  # fmt: skip
        spec = {"set": "prod", "node": node, "mark": mark, "after": str(after), "pairs": pairs}
        await self.put({"spec": spec})

    async def put(self, content: dict[str, Any]) -> None:
        value = {"apiVersion": "reconciler.muslin/v1alpha1", "kind": _KEY.kind, "metadata": {"name": _KEY.name}}
        found = await self.store.list(_KEY.kind)
        if found.entries:
            await self.store.update(_KEY, value | content, found.entries[0].revision)
        else:
            await self.store.create(_KEY, value | content)

    async def answers(self) -> list[str] | None:
        status = (await self.store.get(_KEY)).value.get("status")
        return None if status is None else [each["word"] for each in status["answers"]]


def _run(scenario: Callable[[_Node], Awaitable[None]]) -> None:
    async def main() -> None:
        node = _Node()
        task = asyncio.ensure_future(node.probing.run())
        try:
            await scenario(node)
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        assert node.asker.under_way == 0

    run_virtual(main())


def test_what_is_asked_is_answered_and_only_what_is_new_is_written() -> None:
    """The pod asks once a second; an answer is written when it is another; what is taken away is asked no more."""

    async def scenario(node: _Node) -> None:
        await node.ask("192.0.2.10", "192.0.2.11")
        await asyncio.sleep(5.5)
        assert await node.answers() == ["Answered", "Answered"]
        assert node.asker.asked[:2] == [
            (node.asker.asked[0][0], "caliweb", "10.48.0.1", "192.0.2.10"),
            (node.asker.asked[0][0], "caliweb", "10.48.0.1", "192.0.2.11"),
        ]
        assert len(node.asker.asked) == 12
        head = node.store.history.head
        await asyncio.sleep(10)
        assert node.store.history.head == head

        node.asker.words["192.0.2.11"] = Word.SILENT
        await asyncio.sleep(2)
        assert await node.answers() == ["Answered", "Silent"]
        await node.store.delete(_KEY)
        await asyncio.sleep(0.1)
        count = len(node.asker.asked)
        await asyncio.sleep(10)
        assert len(node.asker.asked) == count
        assert not node.failures

    _run(scenario)


def test_a_question_waits_for_its_revision() -> None:
    """Nothing is asked before the kernel has what the question is about; then at once."""

    async def scenario(node: _Node) -> None:
        await node.ask("192.0.2.10", after=12)
        await asyncio.sleep(30)
        assert await node.answers() is None
        node.applied = "11"
        node.probing.applied_moved()
        await asyncio.sleep(30)
        assert not node.asker.asked
        node.applied = "12"
        node.probing.applied_moved()
        await asyncio.sleep(0.1)
        assert await node.answers() == ["Answered"]

    _run(scenario)


def test_another_question_is_answered_anew() -> None:
    """With another mark the old answer does not stand any more, though it is the same."""

    async def scenario(node: _Node) -> None:
        await node.ask("192.0.2.10")
        await asyncio.sleep(1.5)
        await node.ask("192.0.2.10", mark="n")
        await asyncio.sleep(0.2)
        status = (await node.store.get(_KEY)).value["status"]
        assert (status["mark"], await node.answers()) == ("n", ["Answered"])

    _run(scenario)


def test_pods_that_are_not_here() -> None:
    """A pod that is gone or another node's, and another node's question: said, or left alone."""

    async def scenario(node: _Node) -> None:
        await node.ask("192.0.2.10", pod="gone")
        await asyncio.sleep(0.5)
        assert await node.answers() == ["NoPod"]
        await node.ask("2001:db8::1")
        await asyncio.sleep(0.5)
        assert await node.answers() == ["NoPod"]
        await node.ask("192.0.2.10", node="n2")
        await asyncio.sleep(5)
        assert await node.answers() is None
        assert not node.asker.asked

    _run(scenario)


def test_it_is_bounded_whatever_is_asked() -> None:
    """Sixteen attempts at once, none more often than once a second, none for longer than ten minutes."""

    async def scenario(node: _Node) -> None:
        node.asker.words = {f"192.0.2.{n}": Word.SILENT for n in range(1, 101)}
        await node.ask(*node.asker.words)
        await asyncio.sleep(30)
        assert node.asker.most == 16
        times = [at for at, *_, target in node.asker.asked if target == "192.0.2.7"]
        assert len(times) > 3
        assert all(later - former >= 1.0 for former, later in pairwise(times))
        await asyncio.sleep(700)
        count = len(node.asker.asked)
        await asyncio.sleep(100)
        assert len(node.asker.asked) == count

    _run(scenario)


def test_a_store_that_does_not_let_requests_be_read_is_told_once() -> None:
    """Without the right to read them the agent goes on, says so once, and answers when it has it."""

    async def scenario(node: _Node) -> None:
        client = node.store.client()
        listed, refused = client.list, [True]

        async def refusing(kind: str, **more: Any) -> Listing:
            if refused[0]:
                raise Forbidden("it may not be read", kind)
            return await listed(kind, **more)

        client.list = refusing  # type: ignore[method-assign]
        probing = Probing(
            "n3", client, node.asker, snapshot=lambda: node.snapshot, applied=lambda: "10",
            on_failure=lambda error, _: node.failures.append(error),
        )  # fmt: skip
        await node.ask("192.0.2.10", node="n2")
        task = asyncio.ensure_future(probing.run())
        await asyncio.sleep(120)
        assert [type(each) for each in node.failures] == [Forbidden]
        refused[0] = False
        await node.ask("192.0.2.10", mark="n", node="n3")
        await asyncio.sleep(15)
        assert await node.answers() == ["NoPod"]
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    _run(scenario)


def test_nonsense_is_told_and_harms_nobody() -> None:
    """A request that is none is told; the next good one is answered."""

    async def scenario(node: _Node) -> None:
        for wrong in ({"spec": "x"}, {"spec": {"node": "n1"}}, {"spec": {"node": "n1", "pairs": []}}, {}):
            await node.put(wrong)
            await asyncio.sleep(0.1)
        assert node.failures
        await node.ask("192.0.2.10")
        await asyncio.sleep(0.5)
        assert await node.answers() == ["Answered"]

    _run(scenario)


def test_nonsense_is_told_once_however_often_others_ask() -> None:
    """A request that is none does not fill the log while others come and go."""

    async def scenario(node: _Node) -> None:
        await node.ask("192.0.2.10")
        other = Key(_KEY.kind, "prod.other")
        value = {"apiVersion": "reconciler.muslin/v1alpha1", "kind": other.kind, "metadata": {"name": other.name}}
        await node.store.create(other, value | {"spec": {"node": "n1"}})
        for number in range(10):
            await node.ask("192.0.2.10", mark=f"m{number}")
            await asyncio.sleep(1)
        assert len(node.failures) == 1
        assert await node.answers() == ["Answered"]

    _run(scenario)
