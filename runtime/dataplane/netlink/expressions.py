"""nftables expressions as bytes, in the very order and form in which the kernel dumps them.

So a dumped rule equals a sent one octet for octet, and drift is a comparison of bytes. That means: no NLA_F_NESTED,
attributes in the order of the kernel's dump functions, optional ones present exactly when the kernel shows them.
Source: linux/netfilter/nf_tables.h and the `*_dump` functions of net/netfilter/nft_*.c.
"""

from __future__ import annotations

from typing import Final

from runtime.dataplane.netlink.wire import attribute, text, u32_be

__all__ = [
    "bitwise",
    "compare",
    "connection_state",
    "immediate_verdict",
    "log",
    "lookup",
    "masquerade",
    "meta",
    "payload",
    "range_",
    "register",
    "set_mark",
    "verdict",
]

_DROPPED_REGISTER: Final = 0  # NFT_REG_VERDICT
_CT_STATE: Final = 0
META_MARK: Final = 3


def register(offset: int) -> int:
    """The register at an octet offset: 16-octet registers are 1.., others count in words from 8 (NFT_REG32_00)."""
    return 1 + offset // 16 if offset % 16 == 0 else 8 + offset // 4


def _expression(name: str, data: bytes) -> bytes:
    return attribute(1, text(1, name) + attribute(2, data))


def _value(kind: int, octets: bytes) -> bytes:
    return attribute(kind, attribute(1, octets))


def verdict(code: int, chain: str | None = None) -> bytes:
    """NFTA_DATA_VERDICT, as it stands in an immediate or in a map's element."""
    return attribute(2, u32_be(1, code) + (text(2, chain) if chain is not None else b""))


def immediate_verdict(code: int, chain: str | None = None) -> bytes:
    """End of the rule."""
    return _expression("immediate", u32_be(1, _DROPPED_REGISTER) + attribute(2, verdict(code, chain)))


def meta(key: int, at: int = 0) -> bytes:
    """Load packet metadata."""
    return _expression("meta", u32_be(2, key) + u32_be(1, register(at)))


def payload(header: int, offset: int, length: int, at: int = 0) -> bytes:
    """Load octets of the network (1) or transport (2) header."""
    return _expression("payload", u32_be(1, register(at)) + u32_be(2, header) + u32_be(3, offset) + u32_be(4, length))


def connection_state(at: int = 0) -> bytes:
    """Load conntrack's state bits, native byte order."""
    return _expression("ct", u32_be(1, register(at)) + u32_be(2, _CT_STATE))


def compare(octets: bytes, *, negated: bool = False, at: int = 0) -> bytes:
    """Compare a register with octets."""
    return _expression("cmp", u32_be(1, register(at)) + u32_be(2, int(negated)) + _value(3, octets))


def range_(first: bytes, last: bytes, *, negated: bool = False, at: int = 0) -> bytes:
    """Compare a register with a range, both ends included."""
    return _expression("range", u32_be(1, register(at)) + u32_be(2, int(negated)) + _value(3, first) + _value(4, last))


def bitwise(mask: bytes, flip: bytes, at: int = 0) -> bytes:
    """`register = register & mask ^ flip`."""
    where = register(at)
    head = u32_be(1, where) + u32_be(2, where) + u32_be(3, len(mask)) + u32_be(6, 0)
    return _expression("bitwise", head + _value(4, mask) + _value(5, flip))


def lookup(name: str, *, negated: bool = False, into_verdict: bool = False) -> bytes:
    """Look the registers from the first on up in a set, or in a verdict map."""
    target = u32_be(3, _DROPPED_REGISTER) if into_verdict else b""
    return _expression("lookup", text(1, name) + u32_be(2, register(0)) + target + u32_be(5, int(negated)))


def set_mark(at: int = 0) -> bytes:
    """Store a register as the packet's mark."""
    return _expression("meta", u32_be(2, META_MARK) + u32_be(3, register(at)))


def log(prefix: str) -> bytes:
    """Write to the kernel log, level warning."""
    return _expression("log", text(2, prefix) + u32_be(5, 4))


def masquerade(*, random_ports: bool) -> bytes:
    """Translate the source; random ports as iptables' --random-fully (NF_NAT_RANGE_PROTO_RANDOM_FULLY)."""
    return _expression("masq", u32_be(1, 1 << 4) if random_ports else b"")
