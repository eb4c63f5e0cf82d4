"""One member of an etcd over gRPC: the connection, and single calls on it.

Which member is asked, and what an error means, is decided in `client.py`.
"""

from __future__ import annotations

import asyncio
import os
import ssl
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeAlias

os.environ.setdefault("GRPC_VERBOSITY", "NONE")  # read when it is loaded: what it has to say, our errors tell

import grpc
import grpc.aio

from muslin.datastore.etcd import rpc_pb2 as rpc
from muslin.datastore.etcd.endpoints import Endpoint
from muslin.datastore.etcd.refusals import Refusal
from muslin.datastore.settings import EtcdSettings
from muslin.errors import BadInput, Problem

__all__ = ["AUTHENTICATE", "COMPACT", "GRANT", "RANGE", "REVOKE", "STATUS", "TXN", "Member", "Method", "Refused"]

Metadata: TypeAlias = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Method:
    """A call of etcd's API and what it answers."""

    path: str
    answer: Any


RANGE: Final = Method("/etcdserverpb.KV/Range", rpc.RangeResponse)
TXN: Final = Method("/etcdserverpb.KV/Txn", rpc.TxnResponse)
COMPACT: Final = Method("/etcdserverpb.KV/Compact", rpc.CompactionResponse)
GRANT: Final = Method("/etcdserverpb.Lease/LeaseGrant", rpc.LeaseGrantResponse)
REVOKE: Final = Method("/etcdserverpb.Lease/LeaseRevoke", rpc.LeaseRevokeResponse)
AUTHENTICATE: Final = Method("/etcdserverpb.Auth/Authenticate", rpc.AuthenticateResponse)
STATUS: Final = Method("/etcdserverpb.Maintenance/Status", rpc.StatusResponse)
_WATCH: Final = "/etcdserverpb.Watch/Watch"
_KEEP_ALIVE: Final = "/etcdserverpb.Lease/LeaseKeepAlive"

# A member that vanished without a word is noticed after 10 s at most. etcd allows a ping every 5 s.
_OPTIONS: Final = (
    ("grpc.keepalive_time_ms", 6_000),
    ("grpc.keepalive_timeout_ms", 4_000),
    ("grpc.http2.ping_timeout_ms", 4_000),  # else a minute, whatever the line above says
    ("grpc.http2.max_pings_without_data", 0),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 2_000),
    ("grpc.max_reconnect_backoff_ms", 2_000),
    ("grpc.max_receive_message_length", -1),
    ("grpc.max_send_message_length", -1),
    ("grpc.service_config_disable_resolution", 1),
    ("grpc.enable_http_proxy", 0),  # etcd is inside; a proxy that leads out of the company is not for it
    ("grpc.use_local_subchannel_pool", 1),  # a store's connections are its own, and end with it
)


class Refused(Exception):
    """An error of one call on one member; `refusal` tells which."""

    def __init__(self, refusal: Refusal) -> None:
        self.refusal = refusal
        super().__init__(f"{refusal.where}: {refusal.said}")


class Member:
    """A connection to one member, made at the first call.

    Args:
        endpoint: where it is.
        credentials: of `credentials`; None without TLS.
    """

    def __init__(self, endpoint: Endpoint, credentials: Any) -> None:
        self.endpoint = endpoint
        self._channel = (
            grpc.aio.insecure_channel(endpoint.target, _OPTIONS)
            if credentials is None
            else grpc.aio.secure_channel(endpoint.target, credentials, _OPTIONS)
        )
        self._calls: dict[str, Any] = {}
        self._metadata: tuple[Metadata, Any] = ((), grpc.aio.Metadata())

    def __str__(self) -> str:
        return str(self.endpoint)

    @property
    def connected(self) -> bool:
        """Whether it is connected now; it begins to be where it is not."""
        return self._channel.get_state(try_to_connect=True) is grpc.ChannelConnectivity.READY

    async def ready(self, timeout_s: float) -> None:
        """Wait until it is connected, or cannot be: the next call then says why.

        Raises:
            Refused: neither within this time; nothing was sent.
        """
        state = self._channel.get_state(try_to_connect=True)
        if state is grpc.ChannelConnectivity.READY:
            return
        try:
            async with asyncio.timeout(timeout_s):
                while state not in (grpc.ChannelConnectivity.READY, grpc.ChannelConnectivity.TRANSIENT_FAILURE):
                    await self._channel.wait_for_state_change(state)
                    state = self._channel.get_state(try_to_connect=True)
        except TimeoutError:
            refusal = Refusal("UNAVAILABLE", f"no connection within {timeout_s:g} s", str(self), sent=False)
            raise Refused(refusal) from None

    async def call(self, method: Method, request: Any, metadata: Metadata, timeout_s: float) -> Any:
        """One request and its answer. Raises `Refused`."""
        call = self._calls.get(method.path)
        if call is None:
            call = self._channel.unary_unary(
                method.path,
                request_serializer=type(request).SerializeToString,
                response_deserializer=method.answer.FromString,
            )
            self._calls[method.path] = call
        if self._metadata[0] != metadata:  # gRPC would make it anew for each call
            self._metadata = (metadata, grpc.aio.Metadata(*metadata))
        try:
            return await call(request, timeout=timeout_s, metadata=self._metadata[1])
        except grpc.aio.AioRpcError as error:
            raise self.refused(error, request) from None
        except (grpc.aio.UsageError, asyncio.InvalidStateError) as error:  # somebody closed the store meanwhile
            raise Refused(Refusal("CANCELLED", str(error), str(self))) from None

    async def keep_alive(self, lease: int, metadata: Metadata, timeout_s: float) -> Any:
        """One turn of etcd's stream that keeps leases; gives its one answer. Raises `Refused`."""
        stream = self._channel.stream_stream(
            _KEEP_ALIVE,
            request_serializer=rpc.LeaseKeepAliveRequest.SerializeToString,
            response_deserializer=rpc.LeaseKeepAliveResponse.FromString,
        )
        call = stream(iter((rpc.LeaseKeepAliveRequest(ID=lease),)), timeout=timeout_s, metadata=metadata)
        try:
            async for answer in call:
                return answer
        except grpc.aio.AioRpcError as error:
            raise self.refused(error) from None
        except (grpc.aio.UsageError, asyncio.InvalidStateError) as error:
            raise Refused(Refusal("CANCELLED", str(error), str(self))) from None
        finally:
            call.cancel()
        raise Refused(Refusal("UNAVAILABLE", "the stream ended", str(self)))

    def watch(self, requests: AsyncIterator[rpc.WatchRequest], metadata: Metadata) -> Any:
        """A stream of watches: iterate over its answers; ends with `AioRpcError`, see `refused`."""
        stream = self._channel.stream_stream(
            _WATCH,
            request_serializer=rpc.WatchRequest.SerializeToString,
            response_deserializer=rpc.WatchResponse.FromString,
        )
        return stream(requests, metadata=metadata)

    def refused(self, error: grpc.aio.AioRpcError, request: Any = None) -> Refused:
        """An error of gRPC as ours; where a right is missing, with the key that `request` was for."""
        denied = error.code() is grpc.StatusCode.PERMISSION_DENIED
        key = _key_of(request) if denied and request is not None else b""
        where = f"{key.decode(errors='replace')} at {self}" if key else str(self)
        return Refused(Refusal(error.code().name, error.details() or "", where))

    async def close(self) -> None:
        """End the connection and whatever runs on it."""
        await self._channel.close()


def _key_of(request: Any) -> bytes:
    """The key, or the beginning of the range, that a request reads or writes; of several the first."""
    match request:
        case rpc.TxnRequest():
            keys = [compare.key for compare in request.compare] + [
                part.key for each in request.success for part in (each.request_range, each.request_delete_range)
            ] + [each.request_put.key for each in request.success]  # fmt: skip
            return next(filter(None, keys), b"")
        case rpc.RangeRequest():
            return bytes(request.key)
    return b""


def credentials(settings: EtcdSettings) -> Any:
    """What gRPC needs for TLS.

    Raises:
        BadInput: a certificate without its key or the other way round, or of another, or expired; a PEM that is none.
    """
    from muslin.kubernetes.access import Access, Pem  # noqa: PLC0415 - an etcd without TLS does without
    from muslin.kubernetes.tls import client_context  # noqa: PLC0415

    place = ", ".join(settings.places) or "etcdCertFile, etcdKeyFile, etcdCACertFile"
    if (settings.cert is None) != (settings.key is None):
        lacking = "key" if settings.key is None else "certificate"
        raise BadInput(Problem(f"a client certificate needs both halves: the {lacking} is missing", place, "give both"))
    for name, pem, begin in (
        ("CA certificate", settings.ca_cert, b"CERTIFICATE-----"),
        ("certificate", settings.cert, b"CERTIFICATE-----"),
        ("key", settings.key, b"PRIVATE KEY-----"),
    ):
        if pem is not None and begin not in pem:
            raise BadInput(Problem(f"the {name} for etcd is not PEM", place, "it begins with -----BEGIN ..."))
    pems = {
        name: None if pem is None else Pem(place, pem)
        for name, pem in (("ca", settings.ca_cert), ("cert", settings.cert), ("key", settings.key))
    }
    if settings.ca_cert or settings.cert:  # what can't work is told here in words; gRPC's are those of its inside
        client_context(Access(server="", ca=pems["ca"] or pems["cert"]), pems["cert"], pems["key"])
    return grpc.ssl_channel_credentials(settings.ca_cert or _system_roots(), settings.key, settings.cert)


def _system_roots() -> bytes | None:
    """The authorities that this machine trusts, as Calico's programs do; None for gRPC's own."""
    paths = ssl.get_default_verify_paths()
    candidates: Sequence[str | None] = (paths.cafile, "/etc/ssl/certs/ca-certificates.crt")
    for path in candidates:
        if path and Path(path).is_file():
            return Path(path).read_bytes()
    return None
