"""Both readers of etcd's values say the same, whatever somebody wrote there."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

from muslin.datastore.etcd import stored, values
from muslin.datastore.etcd.stored import Kept
from muslin.resources.keys import Key

_DEEP = b"[" * 500 + b"]" * 500
_TEXTS: list[bytes] = [
    b"", b" ", b"null", b"3", b"[]", b'"text"', b"{}", b' {"a":1}', b'{"a":1}\n', b'{"a":1} {}', b'{"a":1},{"b":2',
    b"}", b'{"a":1', b'{"a":1,}', b'{"a":1,"a":2}', b'{"a":NaN}', b'{"a":-Infinity}', b'{"a":1e400}', b'{"a":1.0}',
    b'{"a":-0}', b'{"a":123456789012345678901234567890}', b'{"a":"\\ud800"}', b'{"a":"\xff"}', b'{"a":"\xed\xa0\x80"}',
    b'{"a":"\x01"}', b"\xef\xbb\xbf{}", '{"a":"ä"}'.encode("utf-16"), b'{"a":' + _DEEP + b"}", b'{"a":01}',
    b'{"\xc3\xa4":"\\u00e4"}', b"{'a':1}", b'{"a":tru}', b"[" * 100_000,
]  # fmt: skip
_PATH = b"/calico/resources/v3/projectcalico.org/tiers/"


@pytest.fixture(params=["Python's reader", "pydantic's reader"])
def reader(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """The module with the reader that is named."""
    monkeypatch.setattr(values._Reader, "decode", None)
    monkeypatch.setattr(values._Reader, "slowly", -(10**9))
    if "pydantic" in request.param:
        values._Reader.slowly = 10**9
    else:
        monkeypatch.delitem(sys.modules, "pydantic_core", raising=False)


def _plainly(text: bytes) -> Any:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


@pytest.mark.usefixtures("reader")
@pytest.mark.parametrize("text", _TEXTS, ids=lambda text: repr(text[:30]))
def test_a_value_is_what_json_says(text: bytes) -> None:
    """Alone and among others: an object as Python's `json` reads it, or none."""
    expected = repr(_plainly(text))  # NaN is not equal to itself
    assert repr(values.object_of(text)) == expected
    assert repr(values.objects_of([b'{"n":1}', text, b'{"n":2}'])) == f"[{{'n': 1}}, {expected}, {{'n': 2}}]"


@pytest.mark.usefixtures("reader")
@pytest.mark.parametrize("text", _TEXTS, ids=lambda text: repr(text[:30]))
def test_a_list_and_a_get_show_the_same(text: bytes) -> None:
    """Whatever is there, no reader loses it or another object, and both ways to it agree."""
    kvs = [Kept(_PATH + b"a", b'{"kind":"Tier"}', 3), Kept(_PATH + b"b", text, 4), Kept(_PATH + b"c", b"{}", 5)]
    listed = stored.entries_of(kvs, "Tier")
    assert [entry.key for entry, _ in listed] == [Key("Tier", name) for name in "abc"]
    assert repr(listed) == repr([stored.entry_of(kv) for kv in kvs])


def test_one_object_is_read_without_pydantic() -> None:
    """To load it takes longer than `muslin get` may: it comes once there is much to read."""
    program = (
        "import sys\n"
        "from muslin.datastore.etcd import values\n"
        "assert values.object_of(b'{\"a\":1}') == {'a': 1} and values.objects_of([b'{}']) == [{}]\n"
        "assert 'pydantic_core' not in sys.modules\n"
        "assert values.objects_of([b'{\"a\":1}'] * 5_000) == [{'a': 1}] * 5_000\n"
        "assert 'pydantic_core' in sys.modules and values.object_of(b'{\"a\":1}') == {'a': 1}\n"
    )
    subprocess.run((sys.executable, "-c", program), check=True, timeout=60)
