"""Probes as gates in a lab that is up: a push that cuts what a probe needs is taken back by real agents' word."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from typing import Any

from muslin.lab.demo import files
from muslin.lab.demo.stage import ECHO, Demo
from muslin.lab.processes import muslin
from muslin.lab.state import RUN
from muslin.resources.keys import Key

__all__ = ["a_push_that_cuts_a_probe"]

_PROBES = f"""\
apiVersion: reconciler.muslin/v1alpha1
kind: Probe
metadata: {{name: clients-are-served}}
spec:
  from: {{namespace: demo, pod: client}}
  to: {{namespace: demo, selector: app == 'server'}}
  port: {ECHO}
---
apiVersion: reconciler.muslin/v1alpha1
kind: Probe
metadata: {{name: strangers-are-not}}
spec:
  from: {{namespace: shop, pod: stranger}}
  to: {{namespace: demo, selector: app == 'server'}}
  port: {ECHO}
  expect: Unreachable
  timeout: 300ms
"""
_POLICY = Key("NetworkPolicy", "server", "demo")


async def a_push_that_cuts_a_probe(demo: Demo) -> dict[str, Any]:
    """A reconciler that may ask: a good push is believed, a bad one is taken back; gives what was seen."""
    state, store = demo.state, demo.cluster.store
    await demo.ask("stop", name="reconciler")
    options = ("--probes", "8", "--stable", "1", "--grace", "3")
    where = ("--mirror", str(state.mirror), "--datastore", str(state.datastore))
    careful = muslin("reconcile", *where, "--wake", str(RUN / "reconciler.sock"), *options)
    await demo.ask("start", name="careful", argv=list(careful), restart=True)
    found: dict[str, Any] = {}
    try:
        noted = files.ALLOW_SHOP.replace("order: 100", "order: 101")
        good = await asyncio.to_thread(
            demo.clone.push, "Clients must be served", {"probes.yaml": _PROBES, files.ALLOW_FILE: noted}
        )
        await demo.cluster.applied(good.commit, 20)
        found["good"] = (await store.get(_POLICY)).value["spec"]["order"]
        cut = noted.replace(
            "app == 'client'}\n      destination: {ports", "app == 'nobody'}\n      destination: {ports"
        )
        bad = await asyncio.to_thread(demo.clone.push, "A slip", {files.ALLOW_FILE: cut})
        status = await demo.cluster.held(bad.commit, 20)
        found["reason"] = (status.get("held") or {}).get("reason")
        await demo.cluster.until(["NetworkPolicy"], _served_again, "the way back", 10)
        for verb in (("status",), ("status", "--why"), ("history",)):
            found[" ".join(verb)] = await asyncio.to_thread(_told, *verb, "--datastore", str(state.datastore))
        await demo.cluster.until(["ReconcilerProbe"], lambda objects: not objects or None, "nothing is asked", 10)
        found["served"] = (await demo.run("demo.client", *_connect(demo.addresses["server"]))).returncode
    finally:
        await demo.ask("stop", name="careful")
    return found


def _served_again(objects: Any) -> bool | None:
    return "nobody" not in str(objects.get(_POLICY)) or None


def _told(*arguments: str) -> str:
    argv = [sys.executable, "-m", "muslin.cli.main", *arguments]
    return subprocess.run(argv, capture_output=True, text=True, check=False, timeout=30).stdout


def _connect(address: str) -> tuple[str, ...]:
    program = "import socket,sys; socket.create_connection((sys.argv[1], int(sys.argv[2])), 2)"
    return (sys.executable, "-IS", "-c", program, address, str(ECHO))
