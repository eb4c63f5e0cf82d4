"""What an error means, which endpoints are none, which releases tell progress rightly, and what is imported when."""

from __future__ import annotations

import subprocess
import sys

import pytest

from muslin.datastore.etcd.endpoints import endpoints_from
from muslin.datastore.etcd.refusals import Meaning, Refusal, meaning_of
from muslin.datastore.etcd.watches import exact_progress
from muslin.datastore.protocol import Forbidden
from muslin.errors import BadInput, Failed, MuslinError, Unavailable


@pytest.mark.parametrize(
    ("code", "text", "meaning"),
    [
        ("UNAVAILABLE", "failed to connect to all addresses; last error: refused", Meaning.NOT_DONE),
        ("UNAVAILABLE", "etcdserver: no leader", Meaning.NOT_DONE),
        ("RESOURCE_EXHAUSTED", "etcdserver: too many requests", Meaning.NOT_DONE),
        ("UNAVAILABLE", "etcdserver: rpc not supported for learner", Meaning.NOT_DONE),
        ("UNAVAILABLE", "etcdserver: leader changed", Meaning.UNKNOWN),
        ("UNAVAILABLE", "etcdserver: request timed out", Meaning.UNKNOWN),
        ("UNAVAILABLE", "Socket closed", Meaning.UNKNOWN),
        ("DEADLINE_EXCEEDED", "Deadline Exceeded", Meaning.UNKNOWN),
        ("UNKNOWN", "Stream removed", Meaning.UNKNOWN),
        ("UNAUTHENTICATED", "etcdserver: invalid auth token", Meaning.TOKEN),
        ("INVALID_ARGUMENT", "etcdserver: revision of auth store is old", Meaning.TOKEN),
        ("OUT_OF_RANGE", "etcdserver: mvcc: required revision has been compacted", Meaning.COMPACTED),
        ("OUT_OF_RANGE", "etcdserver: mvcc: required revision is a future revision", Meaning.COMPACTED),
        ("PERMISSION_DENIED", "etcdserver: permission denied", Meaning.REFUSED),
        ("RESOURCE_EXHAUSTED", "etcdserver: mvcc: database space exceeded", Meaning.REFUSED),
        ("INVALID_ARGUMENT", "etcdserver: request is too large", Meaning.REFUSED),
    ],
)
def test_an_error_says_whether_the_deed_may_have_happened(code: str, text: str, meaning: Meaning) -> None:
    """What is not known to have been refused may have happened; before the deed was sent it has not."""
    assert meaning_of(Refusal(code, text, "x")) is meaning
    unsent = meaning_of(Refusal(code, text, "x", sent=False))
    assert unsent is (Meaning.NOT_DONE if meaning is Meaning.UNKNOWN else meaning)


@pytest.mark.parametrize(
    ("code", "text", "kind", "told"),
    [
        ("PERMISSION_DENIED", "etcdserver: permission denied", Forbidden, "grant"),
        ("INVALID_ARGUMENT", "etcdserver: user name is empty", Forbidden, "etcdUsername"),
        ("INVALID_ARGUMENT", "etcdserver: authentication failed, invalid user ID or password", Forbidden, "check"),
        ("RESOURCE_EXHAUSTED", "etcdserver: mvcc: database space exceeded", Unavailable, "disarm"),
        ("INVALID_ARGUMENT", "etcdserver: request is too large", BadInput, "--max-request-bytes"),
        ("DATA_LOSS", "etcdserver: corrupt cluster", Failed, "backup"),
        ("UNIMPLEMENTED", "unknown service", Failed, "log"),
    ],
)
def test_a_refusal_has_its_type_and_says_what_to_do(code: str, text: str, kind: type[MuslinError], told: str) -> None:
    """The endpoint is the place."""
    error = Refusal(code, text, "https://192.0.2.1:2379").error()

    assert type(error) is kind
    assert error.problems[0].where == "https://192.0.2.1:2379"
    assert told in error.problems[0].fix


def test_endpoints_are_urls_with_a_port_of_their_own_or_etcds() -> None:
    """Each once and in order; IPv6 in brackets."""
    urls = ["https://192.0.2.1:2379", "https://[2001:db8::1]", "https://etcd.example.org:4001/", "https://192.0.2.1"]

    assert [it.target for it in endpoints_from(urls)] == [
        "192.0.2.1:2379",
        "[2001:db8::1]:2379",
        "etcd.example.org:4001",
    ]


@pytest.mark.parametrize(
    "urls",
    [
        [], ["192.0.2.1:2379"], ["ftp://192.0.2.1"], ["https://"], ["https://a b"], ["https://h:x"],
        ["https://u:p@h"], ["https://h/path"], ["https://h?q"], ["https://a", "http://b"],
    ],
)  # fmt: skip
def test_what_is_no_endpoint_is_refused_before_anything_is_connected(urls: list[str]) -> None:
    """So are members of which some have TLS and some have not."""
    with pytest.raises(BadInput):
        endpoints_from(urls)


def test_a_password_in_an_endpoint_is_refused_unseen() -> None:
    """Endpoints are in every message and log."""
    with pytest.raises(BadInput, match=r"\.\.\.@192\.0\.2\.1") as caught:
        endpoints_from(["https://alice:hunter2@192.0.2.1"])

    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("version", "exact"),
    [
        ("3.3.27", False), ("3.4.23", False), ("3.4.25", True), ("3.5.7", False), ("3.5.8", True), ("3.6.8", True),
        ("3.6.0-rc.1", True), ("4.0.0", True), ("unknown", False), ("", False),
    ],
)  # fmt: skip
def test_old_releases_are_not_believed_about_progress(version: str, exact: bool) -> None:
    """They may tell it before the events that it covers."""
    assert exact_progress(version) is exact


def test_grpc_is_loaded_only_when_an_etcd_is_opened() -> None:
    """Neither the package nor a refusal of settings needs it: whoever has no etcd need not wait for it."""
    code = (
        "import asyncio, sys\n"
        "from muslin.datastore.etcd import EtcdDatastore\n"
        "from muslin.datastore.settings import EtcdSettings\n"
        "from muslin.errors import BadInput\n"
        "try:\n    asyncio.run(EtcdDatastore.open(EtcdSettings(endpoints=('nonsense',))))\n"
        "except BadInput:\n    print(sorted({'grpc', 'google.protobuf'} & set(sys.modules)))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "[]"
