"""Which proxy the environment wants for a server, by the rules of Go's programs (kubectl among them). Pure."""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import ip_address, ip_network
from urllib.parse import urlsplit

__all__ = ["proxy_for"]


def proxy_for(server: str, environment: Mapping[str, str]) -> str | None:
    """A proxy's URL or None.

    HTTPS_PROXY or HTTP_PROXY by the server's scheme, also in small letters; not for this machine, nor for what NO_PROXY
    lists: names (with all below them), addresses, networks, each with a port or without, or `*`.
    """
    url = urlsplit(server)
    name = f"{url.scheme}_proxy"
    proxy = environment.get(name.upper()) or environment.get(name)
    host = (url.hostname or "").rstrip(".")
    if (
        not proxy
        or host == "localhost"
        or _excluded(host, url.port or (443 if url.scheme == "https" else 80), environment)
    ):
        return None
    return proxy if "://" in proxy else f"http://{proxy}"


def _excluded(host: str, port: int, environment: Mapping[str, str]) -> bool:
    try:
        address = ip_address(host)
    except ValueError:
        address = None
    if address is not None and address.is_loopback:
        return True
    for each in (environment.get("NO_PROXY") or environment.get("no_proxy") or "").split(","):
        entry = each.strip().lower()
        if entry == "*":
            return True
        if "/" in entry:
            try:
                if address is not None and address in ip_network(entry, strict=False):
                    return True
            except ValueError:
                pass
            continue
        name, colon, digits = entry.rpartition(":")
        if colon and digits.isdigit() and (":" not in name or name.startswith("[")):
            if int(digits) != port:
                continue
            entry = name
        entry = entry.strip("[]")
        if address is not None and entry == host:
            return True
        suffix = entry.removeprefix("*").removeprefix(".")
        if (
            address is None
            and suffix
            and (host.endswith(f".{suffix}") or (host == suffix and not entry.startswith((".", "*."))))
        ):
            return True
    return False
