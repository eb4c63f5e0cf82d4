"""Names of chains, sets, files and devices that Calico's node agent computes, and who reads beside it computes alike.

Our own tables have names of their own; these are for reading and checking a node on which Calico runs or ran. Source:
calico.md sections 3, 6.4, 6.9 and 6.10.
"""

from __future__ import annotations

import hashlib
from base64 import urlsafe_b64encode
from typing import Final
from urllib.parse import quote

from muslin.net import Mac

__all__ = [
    "CHAIN_LENGTH", "NFT_CHAIN_LENGTH", "endpoint_chain", "endpoint_status_file", "ip_set_name", "length_limited",
    "policy_chain", "policy_id", "profile_chain", "unique_id", "vxlan_mac",
]  # fmt: skip

CHAIN_LENGTH: Final = 28
"""Longest name of a chain of iptables, in octets."""
NFT_CHAIN_LENGTH: Final = 256
"""Longest name of a chain of nftables."""
_SET_LENGTH: Final = 31

_SHORT: Final = {
    "GlobalNetworkPolicy": "gnp",
    "KubernetesClusterNetworkPolicy": "kcnp",
    "KubernetesNetworkPolicy": "knp",
    "NetworkPolicy": "np",
    "Profile": "pro",
    "StagedGlobalNetworkPolicy": "sgnp",
    "StagedKubernetesNetworkPolicy": "sknp",
    "StagedNetworkPolicy": "snp",
}
"""Kinds of policies as names of chains have them."""
_SHORTENED: Final = "_"
_UNESCAPED: Final = "$&+=:@"


def unique_id(prefix: str, content: str) -> str:
    """An identity made of some content: `s:` and a hash for a selector, `n:` for a named port."""
    digest = hashlib.sha224(f"{prefix}:{content}".encode()).digest()
    return f"{prefix}:{urlsafe_b64encode(digest).decode().rstrip('=')}"


def length_limited(prefix: str, suffix: str, longest: int) -> str:
    """The two joined, or if that is too long the prefix and as much of the suffix's hash as there is room for.

    Lengths count octets. A shortened name has `_` after the prefix; a suffix that begins so never fills the whole room.
    """
    suffix = suffix or _SHORTENED
    length = len(prefix.encode()) + len(suffix.encode())
    if length < longest or (length == longest and not suffix.startswith(_SHORTENED)):
        return prefix + suffix
    room = longest - len(prefix.encode()) - len(_SHORTENED)
    if room <= 0:
        raise ValueError(f"{prefix!r} leaves no room for a name of {longest} octets")
    digest = urlsafe_b64encode(hashlib.sha256(suffix.encode()).digest()).decode().rstrip("=")
    return prefix + _SHORTENED + digest[:room]


def _chain(prefix: str, suffix: str, *, nft: bool) -> str:
    return length_limited(prefix, suffix, NFT_CHAIN_LENGTH if nft else CHAIN_LENGTH)


def policy_id(kind: str, namespace: str, name: str) -> str:
    """A policy as names of its chains have it: `np/shop/allow-dns`."""
    return "/".join(part for part in (_SHORT.get(kind, kind), namespace, name) if part)


def policy_chain(kind: str, namespace: str, name: str, *, inbound: bool, nft: bool) -> str:
    """The chain of a policy's rules in one direction."""
    return _chain("cali-pi-" if inbound else "cali-po-", policy_id(kind, namespace, name), nft=nft)


def profile_chain(profile: str, *, inbound: bool, nft: bool) -> str:
    """The chain of a profile's rules in one direction."""
    return _chain("cali-pri-" if inbound else "cali-pro-", profile, nft=nft)


def endpoint_chain(prefix: str, interface: str, *, nft: bool) -> str:
    """The chain of an endpoint's interface; the prefix says what for: `cali-tw-`, `cali-fh-`, ..."""
    return _chain(prefix, interface, nft=nft)


def ip_set_name(identity: str, version: int) -> str:
    """The kernel's name of a set of addresses of one family."""
    return f"cali{version}0{identity}"[:_SET_LENGTH]


def endpoint_status_file(orchestrator: str, workload: str, endpoint: str) -> str:
    """The name of the file by which the node agent tells the CNI plugin that an endpoint's policy is in place."""
    return " ".join(quote(part, safe=_UNESCAPED) for part in (orchestrator, workload, endpoint))


def vxlan_mac(node: str, version: int) -> Mac:
    """The MAC address of a node's VXLAN device, where the Node does not name one."""
    digest = hashlib.sha1((node if version == 4 else f"{node}-v6").encode(), usedforsecurity=False).digest()
    return Mac(b"\x66" + digest[:5])
