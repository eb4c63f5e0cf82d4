"""rtnetlink codec of links: veth pairs with the far end born in another namespace, up, down, delete, groups.

Source: linux/if_link.h, linux/veth.h.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from muslin.net import Mac
from runtime.dataplane.netlink import wire
from runtime.dataplane.netlink.wire import Message

__all__ = [
    "FORWARDING", "NEW_LINK", "PROXY_ARP", "ROUTE_LOCALNET", "RP_FILTER", "Link", "create_veth", "delete_group",
    "delete_link", "get_link", "move_to_group", "parse_link", "parse_name", "set_ipv4", "set_link",
]  # fmt: skip

NEW_LINK: Final = 16
_NEW, _DELETE, _GET, _SET = NEW_LINK, 17, 18, 19
_INFO = struct.Struct("=BBHiII")
_FIRST = struct.Struct("=HH")
_UP: Final = 0x1
_ADDRESS, _NAME, _MTU, _LINK, _LINK_INFO, _FAMILIES, _GROUP, _NAMESPACE_FD = 1, 3, 4, 5, 18, 26, 27, 28
_SEND_QUEUES, _RECEIVE_QUEUES = 31, 32
_INET_CONF = 1
FORWARDING, PROXY_ARP, RP_FILTER, ROUTE_LOCALNET = 1, 3, 8, 26
"""Of net.ipv4.conf: numbers of settings (IPV4_DEVCONF_* in linux/ip.h)."""
_KIND, _DATA, _PEER = 1, 2, 1


@dataclass(frozen=True, slots=True)
class Link:
    """An interface as the kernel has it; `kind` is its driver's name such as veth, empty for hardware."""

    index: int
    name: str
    mtu: int
    mac: Mac | None
    up: bool
    kind: str
    group: int
    peer: int = 0
    """Of a veth: index of the other end, in the other end's namespace."""


def _info(index: int = 0, flags: int = 0, change: int = 0) -> bytes:
    return _INFO.pack(0, 0, 0, index, flags, change)


def create_veth(
    name: str, mac: Mac, mtu: int, *, peer: str, peer_namespace: int | None, peer_mac: Mac | None
) -> Message:
    """Create a pair; the near end is down, the far end is born in the namespace of the given file descriptor.

    Born there, not moved: moving waits for every CPU (16 ms measured). Host end down until its sysctls are set.
    One queue each way, which is what the kernel uses of a pair anyway: unasked it makes one for every CPU, waits for
    all CPUs, and takes the others away again, which is half of the time that a pair takes.
    """
    queues = wire.u32(_SEND_QUEUES, 1) + wire.u32(_RECEIVE_QUEUES, 1)
    far = _info() + wire.text(_NAME, peer) + wire.u32(_MTU, mtu) + queues
    if peer_namespace is not None:
        far += wire.u32(_NAMESPACE_FD, peer_namespace)
    if peer_mac is not None:
        far += wire.attribute(_ADDRESS, peer_mac.packed)
    info = wire.text(_KIND, "veth") + wire.nested(_DATA, wire.nested(_PEER, far))
    near = wire.text(_NAME, name) + wire.attribute(_ADDRESS, mac.packed) + wire.u32(_MTU, mtu) + queues
    return Message(_NEW, wire.CREATE | wire.EXCLUSIVE, _info() + near + wire.nested(_LINK_INFO, info))


def set_link(index: int, *, up: bool | None = None, group: int | None = None, mtu: int | None = None) -> Message:
    """Change what is given and nothing else."""
    head = _info(index) if up is None else _info(index, _UP if up else 0, _UP)
    more = (wire.u32(_GROUP, group) if group is not None else b"") + (wire.u32(_MTU, mtu) if mtu is not None else b"")
    return Message(_SET if up is None else _NEW, 0, head + more)


def delete_link(name: str) -> Message:
    """Delete one link by name; both ends of a veth go."""
    return Message(_DELETE, 0, _info() + wire.text(_NAME, name))


def move_to_group(name: str, group: int) -> Message:
    """Put a link into a group, by its name."""
    return Message(_SET, 0, _info() + wire.text(_NAME, name) + wire.u32(_GROUP, group))


def delete_group(group: int) -> Message:
    """Delete every link of a group. The kernel waits for all CPUs once for all of them, not once for each."""
    return Message(_DELETE, 0, _info() + wire.u32(_GROUP, group))


def set_ipv4(index: int, settings: Mapping[int, int]) -> Message:
    """Set a link's settings below net.ipv4.conf: Mapping[number, value]. One message does what files do one by one."""
    values = b"".join(wire.u32(number, value) for number, value in settings.items())
    of_ipv4 = wire.nested(socket.AF_INET, wire.nested(_INET_CONF, values))
    return Message(_SET, 0, _info(index) + wire.nested(_FAMILIES, of_ipv4))


def get_link(name: str | None = None) -> Message:
    """Ask for one link by name, or as a dump for all."""
    return Message(_GET, 0, _info() + (wire.text(_NAME, name) if name is not None else b""))


def parse_name(body: bytes | memoryview) -> tuple[int, str, bool]:
    """Index, name and whether it is up, of a link: all that most news about links are read for."""
    index, flags = _INFO.unpack_from(body)[3:5]
    length, kind = _FIRST.unpack_from(body, _INFO.size) if len(body) >= _INFO.size + 4 else (0, 0)
    if kind == _NAME and 4 < length <= len(body) - _INFO.size:  # where the kernel puts it
        name = body[_INFO.size + 4 : _INFO.size + length]
    else:
        name = wire.attributes(memoryview(body)[_INFO.size :])[_NAME]
    return index, bytes(name).rstrip(b"\0").decode(), bool(flags & _UP)


def parse_link(body: bytes | memoryview) -> Link:
    """A link from the body of RTM_NEWLINK."""
    view = memoryview(body)
    _family, _pad, _hardware, index, flags, _change = _INFO.unpack_from(view)
    found = wire.attributes(view[_INFO.size :])
    mac = bytes(found.get(_ADDRESS, b""))
    info = wire.attributes(found[_LINK_INFO]) if _LINK_INFO in found else {}
    return Link(
        index=index,
        name=bytes(found[_NAME]).rstrip(b"\0").decode(),
        mtu=struct.unpack("=I", found[_MTU])[0],
        mac=Mac(mac) if len(mac) == 6 else None,
        up=bool(flags & _UP),
        kind=bytes(info.get(_KIND, b"")).rstrip(b"\0").decode(),
        group=struct.unpack("=I", found[_GROUP])[0] if _GROUP in found else 0,
        peer=struct.unpack("=I", found[_LINK])[0] if _LINK in found else 0,
    )
