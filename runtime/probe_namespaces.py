"""Where each pod's network namespace is: one symlink a pod, named like its host interface, in a folder of the agent.

A container runtime says it once, when it attaches the pod; a symlink is made by one call, and an agent that returns
finds it again. A wrong one does no harm: whoever enters a namespace looks whether the pod's address is there.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from muslin.conversion.endpoint_name import interface_of
from runtime.cni.answer import Answer
from runtime.cni.request import Command, Request
from runtime.cni.server import Handler, PodNamespace

__all__ = ["PodNamespaces"]


class PodNamespaces:
    """The symlinks in one folder.

    Args:
        folder: made if it is not there.
        attach: does what CNI requests ask; stands behind `handle`.
    """

    def __init__(self, folder: Path, attach: Handler) -> None:
        self._folder, self._attach = folder, attach

    async def handle(self, request: Request, namespace: PodNamespace | None) -> Answer:
        """Handler of `runtime.cni.server.Server`: what `attach` does, and remembered where the pod is."""
        answer = await self._attach(request, namespace)
        if request.pod is not None:
            interface = interface_of(request.pod.namespace, request.pod.name)
            if request.command is Command.ADD and answer.status == 0:
                self._note(interface, request.netns)
            elif request.command is Command.DEL and request.netns in ("", self.path_of(interface)):
                with contextlib.suppress(OSError):
                    (self._folder / interface).unlink()
        return answer

    def path_of(self, interface: str) -> str | None:
        """Path of the namespace of the pod with this host interface, None where nobody has said it."""
        try:
            return os.readlink(self._folder / interface)  # noqa: PTH115 - the text, whatever is there
        except OSError:
            return None

    def _note(self, interface: str, netns: str) -> None:
        if self.path_of(interface) == netns:
            return
        place = self._folder / interface
        with contextlib.suppress(OSError):  # then it can't be asked from the pod, and all else goes on
            self._folder.mkdir(mode=0o700, exist_ok=True)
            with contextlib.suppress(FileNotFoundError):
                place.unlink()
            place.symlink_to(netns)
