"""From an access to a sender that is ready: the exec plugin if there is one, TLS, proxy, connections."""

from __future__ import annotations

import os
from random import Random

from muslin.kubernetes.access import Access
from muslin.kubernetes.login import Login, Plugin
from muslin.kubernetes.pace import Limits
from muslin.kubernetes.proxies import proxy_for
from muslin.kubernetes.sending import Sender
from muslin.kubernetes.transport import HttpTransport

__all__ = ["sender"]


async def sender(access: Access, limits: Limits, random: Random) -> Sender:
    """Everything that can be wrong without asking the server is found here. Raises BadInput."""
    plugin: Plugin | None = None
    if access.user.plugin is not None:
        from muslin.kubernetes.exec_plugin import ExecCredentials  # noqa: PLC0415  only here programs are started

        plugin = ExecCredentials(access.user.plugin)
    login = Login(access, plugin)
    await login.headers()
    context, _ = await login.context()
    transport = HttpTransport(
        access.server,
        context=context,
        server_name=access.tls_server_name,
        proxy=access.proxy_url or proxy_for(access.server, os.environ),
        connections=limits.connections,
        connect_s=limits.connect_s,
    )
    return Sender(transport, login, limits, random)
