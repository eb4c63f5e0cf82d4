"""Step 8: processes die at once, and nobody's packet notices."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import Any

from muslin.lab.demo.check import Check
from muslin.lab.demo.stage import Demo
from muslin.resources.keys import Key

__all__ = ["processes_killed"]


async def processes_killed(demo: Demo) -> Sequence[Check]:
    """An agent, its speaker and the reconciler die; nobody's packet notices."""
    allowed = [flow for flow in demo.flows if flow.allowed]
    victims = [f"agent-{demo.node(1)}", f"speaker-{demo.node(1)}", "reconciler"]
    before = await demo.starts()
    revision = (await demo.cluster.store.get(Key("CalicoNodeStatus", demo.node(1)))).revision
    killed = time.monotonic()
    for victim in victims:
        await demo.ask("kill", name=victim)
        demo.say(f"SIGKILL to {victim}, in the middle of the traffic")
    await demo.cluster.until(
        ["CalicoNodeStatus"],
        lambda objects: True if _session_returned(objects, demo.node(1), str(revision)) else None,
        "the killed node's report", 30.0,
    )  # fmt: skip
    took = time.monotonic() - killed
    push = await asyncio.to_thread(demo.clone.push, "A note", {"NOTE.md": "The reconciler is back.\n"})
    await demo.cluster.applied(push.commit)
    after = await demo.starts()  # not before: after many deaths a process waits longer before it starts again
    assert demo.idle is not None
    await demo.idle.heard_after(time.monotonic())
    seen = {flow.name: await flow.stop() for flow in allowed}
    lost = {name: each.lost for name, each in seen.items()}
    sent = sum(each.sent for each in seen.values())
    wrongly = [flow.name for flow in demo.flows if not flow.allowed and (await flow.stop()).down_at() is None]
    back = sum(after[name] > before[name] for name in victims)
    return [
        Check("killed processes are back, with all sessions", back == len(victims),
              f"{back} of {len(victims)} back after {took:.1f} s", f"{len(victims)} of {len(victims)}"),
        Check("allowed flows lost nothing, from before the policy until now", not sum(lost.values()),
              f"{sum(lost.values())} of {sent} requests lost", "0 lost"),
        Check("denied flows stayed denied meanwhile", not wrongly,
              f"{len(wrongly)} of {len(demo.flows) - len(allowed)} flows passed", "0 passed"),
        Check("the idle connection lives", not demo.idle.closed(), "closed" if demo.idle.closed() else "open", "open"),
    ]  # fmt: skip


def _session_returned(objects: Any, node: str, revision: str) -> bool:
    """Whether the node has reported anew, and all its sessions are established."""
    value = objects.get(Key("CalicoNodeStatus", node))
    if value is None or value["metadata"]["resourceVersion"] == revision:
        return False
    bgp = (value.get("status") or {}).get("bgp") or {}
    return bool(bgp.get("numberEstablishedV4")) and not bgp.get("numberNotEstablishedV4")
