"""Names that Calico's node agent computes: what the rows of the conformance folder are examples of."""

from __future__ import annotations

import base64
import hashlib

import pytest

from muslin.semantics import shared_names as names


@pytest.mark.parametrize(
    ("suffix", "hashed"),
    [("abc", False), ("abcd", False), ("abcde", True), ("_bc", False), ("_bcd", True), ("üü", False)],
)
def test_long_names_are_hashed(suffix: str, hashed: bool) -> None:
    """A name of twelve octets is kept, unless it could be taken for a shortened one."""
    digest = base64.urlsafe_b64encode(hashlib.sha256(suffix.encode()).digest()).decode()

    assert names.length_limited("cali-fw-", suffix, 12) == f"cali-fw-{f'_{digest[:3]}' if hashed else suffix}"


def test_names_with_no_room_are_refused() -> None:
    """A prefix that fills the room leaves none for a hash."""
    with pytest.raises(ValueError, match="no room"):
        names.length_limited("cali-fw-", "eth0", 9)


def test_files_of_endpoints_are_single_path_segments() -> None:
    """Whatever an endpoint is called, its file is in one folder, and blanks only separate."""
    name = names.endpoint_status_file("k8s", "my-ns/a b?;,ü", "eth0")

    assert name == "k8s my-ns%2Fa%20b%3F%3B%2C%C3%BC eth0"
