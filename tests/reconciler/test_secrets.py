"""No secret is in what a reconciler says: status, events for log, history and notices, problems with files."""

from __future__ import annotations

import asyncio
import json

import pytest

from reconciler.plan import Hold
from reconciler.status import KIND
from tests.reconciler.cases import World, policy, policy_key

_NAME = "example.org/api-token"


def _with_token(token: str) -> dict[str, str]:
    return {"a.yaml": policy("a").replace("metadata:\n", f"metadata:\n  annotations: {{{_NAME}: {token}}}\n")}


async def _said(world: World) -> str:
    """All that was said so far, in any form."""
    stored = [entry.value for entry in (await world.store.list(KIND)).entries]
    told = [(each.to_json(), str(each)) for each in world.events]
    return json.dumps([stored, told])


def test_a_token_that_drifts_and_one_that_is_changed_are_told_without_their_values() -> None:
    """That somebody changed it, and that it was put back, is said; what it was and is, is not."""

    async def scenario() -> None:
        world = World()
        world.source.push(_with_token("hush-first"))
        await world.look()
        entry = await world.store.get(policy_key("a"))
        value = {**entry.value, "metadata": {**entry.value["metadata"], "annotations": {_NAME: "hush-theirs"}}}
        await world.store.update(policy_key("a"), value, entry.revision)
        await world.look()
        world.source.push(_with_token("hush-second"))
        await world.look()
        there = (await world.store.get(policy_key("a"))).value["metadata"]["annotations"]
        assert there == {_NAME: "hush-second"}
        said = await _said(world)
        assert "DriftRepaired" in said
        assert _NAME in said
        assert "hush" not in said

    asyncio.run(scenario())


@pytest.mark.parametrize(
    "password", ["hush-1", "{secretKeyRef: hush-1}", "[hush-1]", "{secretKeyRef: {name: [hush-1]}}"]
)
def test_a_password_that_stands_in_the_wrong_place_is_not_told(password: str) -> None:
    """Who writes a password where its reference belongs learns that, and nobody else learns the password."""

    async def scenario() -> None:
        world = World()
        spec = f"{{peerIP: 192.0.2.1, asNumber: 64500, password: {password}}}"
        world.source.push(
            {"p.yaml": f"apiVersion: projectcalico.org/v3\nkind: BGPPeer\nmetadata: {{name: p}}\nspec: {spec}\n"}
        )
        status = await world.look()
        assert status.reason is Hold.PROBLEMS
        assert "must be" in status.problems[0].what
        assert "hush" not in await _said(world)

    asyncio.run(scenario())
