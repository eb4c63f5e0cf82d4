"""What the driver asks of etcd, in etcd's terms: keys, values, revisions; and the way to a connection."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Self

from muslin.datastore.etcd import rpc_pb2 as rpc
from muslin.datastore.etcd.client import Client
from muslin.datastore.etcd.discovery import discovered
from muslin.datastore.etcd.endpoints import Endpoint, endpoints_from
from muslin.datastore.etcd.members import COMPACT, RANGE, TXN
from muslin.datastore.etcd.own_cluster import refuse_certificates, refuse_keys
from muslin.datastore.etcd.patience import Patience
from muslin.datastore.etcd.watches import Watches
from muslin.datastore.settings import EtcdSettings

__all__ = ["Connection", "Outcome"]


class Outcome(NamedTuple):
    """What became of a transaction.

    Attributes:
        done: whether its comparisons held.
        revision: of the store after it.
        found: `rpc.KeyValue`s: what was removed by `remove`, or what is there where a comparison did not hold.
    """

    done: bool
    revision: int
    found: Sequence[Any] = ()


class Connection:
    """Client and watches of one store; `open` it."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.watches = Watches(client)

    @classmethod
    async def open(cls, settings: EtcdSettings, patience: Patience | None = None) -> Self:
        """Connect, and refuse a Kubernetes cluster's own etcd. See `EtcdDatastore.open`."""
        refuse_certificates(settings)
        endpoints: Sequence[Endpoint] = (
            await discovered(settings.discovery_srv) if settings.discovery_srv else endpoints_from(settings.endpoints)
        )
        client = Client(endpoints, settings, patience)
        try:
            await refuse_keys(client)
        except BaseException:
            await client.close()
            raise
        return cls(client)

    async def get(self, paths: Sequence[bytes]) -> Sequence[Any]:
        """What is at these keys: those of `rpc.KeyValue` that are there, in this order."""
        if len(paths) == 1:
            found: Sequence[Any] = (await self.client.read(RANGE, rpc.RangeRequest(key=paths[0]))).kvs
            return found
        return await self._gathered([rpc.RangeRequest(key=path) for path in paths])

    async def keys_beginning(self, prefixes: Sequence[bytes]) -> list[bytes]:
        """All keys that begin with one of these."""
        requests = [
            rpc.RangeRequest(key=prefix, range_end=prefix[:-1] + bytes((prefix[-1] + 1,)), keys_only=True)
            for prefix in prefixes
        ]
        return [kv.key for kv in await self._gathered(requests)]

    async def range(
        self, first: bytes, last: bytes, *, limit: int = 0, revision: int = 0, keys_only: bool = False
    ) -> Any:
        """`rpc.RangeResponse`: keys from `first` on, before `last`, now or at a revision. Raises `Compacted`."""
        return await self.client.read(
            RANGE,
            rpc.RangeRequest(key=first, range_end=last, limit=limit, revision=revision, keys_only=keys_only),
        )

    async def values_at(self, paths: Sequence[bytes], revision: int) -> list[Any]:
        """`rpc.KeyValue`s of these keys at a revision. Raises `Compacted`."""
        return await self._gathered([rpc.RangeRequest(key=path, revision=revision) for path in paths])

    async def head(self, at: int = 0) -> Any:
        """The header of now: `cluster_id` and `revision`. Raises `Compacted` unless `at` is a revision still known."""
        return (await self.client.read(RANGE, rpc.RangeRequest(key=b"/calico/", revision=at, count_only=True))).header

    async def create(self, path: bytes, text: bytes, others: Mapping[bytes, int]) -> Outcome:
        """Put what is not there. `others` are keys that must be at these modification revisions, 0 for not there.

        Raises:
            AnswerLost: it may have been done.
        """
        return await self._transaction({path: 0, **others}, _put(path, text))

    async def replace(self, path: bytes, text: bytes, revision: int) -> Outcome:
        """Put what is there at this modification revision. Raises `AnswerLost`."""
        return await self._transaction({path: revision}, _put(path, text))

    async def remove(self, path: bytes, revision: int | None) -> Outcome:
        """Delete what is there, if given only at this modification revision. Raises `AnswerLost`."""
        request = rpc.TxnRequest()
        deletion = request.success.add().request_delete_range
        deletion.key, deletion.prev_kv = path, True
        outcome = await self._transaction({} if revision is None else {path: revision}, request)
        if not outcome.done:
            return outcome
        return outcome._replace(found=outcome.found[0].response_delete_range.prev_kvs)

    async def put_for(self, path: bytes, text: bytes, ttl_s: int) -> int:
        """Put a status that is gone after `ttl_s` seconds, as agents report themselves; gives its lease.

        Calico's agents put it anew each time; `client.keep` is cheaper where nothing has changed.

        Raises:
            AnswerLost: it may have been done.
        """
        lease = await self.client.lease(ttl_s)
        await self._transaction({}, _put(path, text, lease))
        return lease

    async def compact(self, revision: int) -> None:
        """Forget what is older. Raises `Compacted` if that is done already."""
        await self.client.read(COMPACT, rpc.CompactionRequest(revision=revision))

    async def close(self) -> None:
        """End watches and connections."""
        await self.watches.close()
        await self.client.close()

    async def _gathered(self, requests: Sequence[Any]) -> list[Any]:
        """All that these ranges have, of one instant as far as one transaction reaches."""
        found: list[Any] = []
        for start in range(0, len(requests), _OPERATIONS):
            part = requests[start : start + _OPERATIONS]
            request = rpc.TxnRequest(success=[rpc.RequestOp(request_range=each) for each in part])
            answer = await self.client.read(TXN, request)
            found += (kv for response in answer.responses for kv in response.response_range.kvs)
        return found

    async def _transaction(self, modified_at: Mapping[bytes, int], request: Any) -> Outcome:
        """What `request` does if these keys are at these revisions, else what is at them."""
        for path, revision in modified_at.items():  # filled in place: a message that is handed in is packed and read
            compare = request.compare.add()
            compare.key, compare.mod_revision, compare.target = path, revision, _MOD
            request.failure.add().request_range.key = path
        answer = await self.client.write(request)
        if not answer.succeeded:
            found = [kv for response in answer.responses for kv in response.response_range.kvs]
            return Outcome(done=False, revision=answer.header.revision, found=found)
        return Outcome(done=True, revision=answer.header.revision, found=answer.responses)


_MOD = rpc.Compare.MOD
_OPERATIONS = 120
"""etcd's limit of a transaction is 128 unless its operator set another (--max-txn-ops)."""


def _put(path: bytes, text: bytes, lease: int = 0) -> Any:
    request = rpc.TxnRequest()
    put = request.success.add().request_put
    put.key, put.value, put.lease = path, text, lease
    return request
