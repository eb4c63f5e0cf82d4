"""Steps 5 to 7: policy is pushed and flows flip, a bad commit changes nothing, drift is repaired."""

from __future__ import annotations

import asyncio
import copy
import json
import time
from collections.abc import Sequence
from typing import Any

from blueprints.emit import render
from muslin.errors import Problem
from muslin.lab.demo import files
from muslin.lab.demo.check import Check
from muslin.lab.demo.flows import start_flow, start_idle
from muslin.lab.demo.stage import ECHO, SPEAK, Demo
from muslin.resources.keys import Key

__all__ = ["bad_commit_pushed", "default_deny_pushed", "drift_repaired"]

_POLICY_KINDS = ("IPPool", "BGPConfiguration", "FelixConfiguration", "GlobalNetworkPolicy", "NetworkPolicy", "Tier")
_DEFAULT_DENY = Key("GlobalNetworkPolicy", "default-deny")


async def default_deny_pushed(demo: Demo) -> Sequence[Check]:
    """Default deny and one allowance: each flow flips when it should, and no other notices."""
    assert demo.blueprint is not None
    server = demo.addresses["server"]
    for name, pod, kind, allowed in (
        ("client-udp", "demo.client", "udp", True),
        ("client-udp-new", "demo.client", "udp-new", True),
        ("client-tcp", "demo.client", "tcp", True),
        ("stranger-udp", "shop.stranger", "udp", False),
        ("stranger-tcp", "shop.stranger", "tcp", False),
        ("neighbour-udp", "shop.neighbour", "udp", False),
    ):
        demo.flows.append(await start_flow(demo.lab, name, pod, (kind, server, ECHO), allowed=allowed))
    demo.idle = await start_idle(demo.lab, "client-idle", "demo.client", server, SPEAK)
    demo.say(
        f"{len(demo.flows)} flows of 100 requests a second each to demo/server; a silent client hears what it says"
    )
    texts = {**render(demo.blueprint, ["default-policy"]), files.ALLOW_FILE: files.ALLOW_SHOP}
    demo.say("git push: what nobody allowed is denied, in every namespace; DNS is allowed, and demo's own clients")
    push = await asyncio.to_thread(demo.clone.push, "Deny by default; clients may ask the server", texts)
    await demo.cluster.applied(push.commit)
    denied = [flow for flow in demo.flows if not flow.allowed]
    cut = {flow.name: await flow.until("down") - push.began for flow in denied}
    for name, after in cut.items():
        demo.say(f"{name} stopped {after * 1000:.0f} ms after the push began")
    heard = await demo.idle.heard_after(time.monotonic())
    lookups = await demo.lookup("shop.stranger", "server.demo.lab")
    still = [flow for flow in denied if flow.seen().down_at() is None]
    return [
        Check("denied flows stopped, the established ones too", not still,
              f"{len(denied) - len(still)} of {len(denied)} flows", f"{len(denied)} of {len(denied)}"),
        Check("from the start of the push to the last packet that should not pass", max(cut.values()) < 2.0,
              f"{max(cut.values()) * 1000:.0f} ms", "under 2000 ms"),
        Check("an idle connection whose server speaks first did not notice", not demo.idle.closed() and heard > 0,
              "open" if not demo.idle.closed() else "closed", "open"),
        Check("DNS still answers a pod that may do nothing else", lookups == server, lookups or "no answer", server),
    ]  # fmt: skip


async def bad_commit_pushed(demo: Demo) -> Sequence[Check]:
    """A commit with one wrong field changes nothing and is told where and how to mend it; a revert heals."""
    before = await demo.cluster.everything(_POLICY_KINDS)
    demo.say(f"git push of {files.MISTAKE_FILE}, where a field is misspelt; the reconciler says:")
    push = await asyncio.to_thread(demo.clone.push, "Refuse everything", {files.MISTAKE_FILE: files.MISTAKE})
    status = await demo.cluster.held(push.commit)
    problems = list(status.get("problems") or ())
    for problem in problems:
        demo.show(Problem(problem["what"], problem["where"], problem["fix"]))
    after = await demo.cluster.everything(_POLICY_KINDS)
    text = json.dumps(problems)
    told = len(problems) == 1 and f"{files.MISTAKE_FILE}:8" in text and "ingress" in text
    healed = await asyncio.to_thread(demo.clone.revert)
    await demo.cluster.applied(healed.commit)
    healed_ms = (time.monotonic() - healed.ended) * 1000
    demo.say(f"git revert, git push: {healed.commit[:12]} is applied")
    changed = len(before.items() ^ after.items())
    told_where = problems[0]["where"].split()[0].partition("/")[2] if problems else "nothing told"
    return [
        Check("a bad commit changes nothing", before == after, f"{len(after)} objects, {changed} changed", "0 changed"),
        Check("the mistake is told with file, line, field and fix", told, told_where,
              "typo.yaml:8"),
        Check("a revert heals it", healed_ms < 2000, f"applied in {healed_ms:.0f} ms", "under 2000 ms"),
    ]  # fmt: skip


async def drift_repaired(demo: Demo) -> Sequence[Check]:
    """Somebody changes an object by hand; it is put back, and said."""
    store = demo.cluster.store
    entry = await store.get(_DEFAULT_DENY)
    changed = copy.deepcopy(dict(entry.value))
    changed["spec"]["order"] = 5000
    demo.say(f"somebody gives {_DEFAULT_DENY} order 5000 instead of {entry.value['spec']['order']:g}")
    written = await store.update(_DEFAULT_DENY, changed, entry.revision)
    began = time.monotonic()

    def repaired(objects: Any) -> float | None:
        value = objects.get(_DEFAULT_DENY)
        there = value is not None and value["metadata"]["resourceVersion"] != written.revision
        return time.monotonic() - began if there and value["spec"] == entry.value["spec"] else None

    took = await demo.cluster.until(["GlobalNetworkPolicy"], repaired, "the repair", 5.0)

    def said(objects: Any) -> dict[str, Any] | None:
        for value in objects.values():
            for drift in (value.get("status") or {}).get("drift") or ():
                if drift["object"] == str(_DEFAULT_DENY):
                    return dict(drift)
        return None

    drift = await demo.cluster.until(["ReconcilerStatus"], said, "the repair's report", 5.0)
    field_ = drift["fields"][0]
    demo.say(f"the reconciler says: {drift['object']} {field_['path']}: {field_['old']} back to {field_['new']}")
    return [Check("the change is put back, and said", took < 2.0, f"{took * 1000:.0f} ms", "under 2000 ms")]
