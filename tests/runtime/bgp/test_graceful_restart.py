"""Restarts in which no route is lost, and ends in which it must be (RFC 4724, RFC 8538)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from runtime.bgp.reports import NoteKind
from tests.runtime.bgp.simulation import Node, World, converged, mesh


def running(seed: int, size: int, **of_peers: Any) -> tuple[World, list[Node]]:
    """A mesh that has converged."""
    world = World(seed)
    nodes = mesh(world, size, **of_peers)
    for node in nodes:
        node.start()
    world.run(6)
    assert converged(nodes)
    return world, nodes


def watch_losses(world: World, nodes: list[Node]) -> list[str]:
    """Note whenever a node's kernel would not have a route that it should."""
    wanted = {node.address: node.prefixes for node in nodes}
    losses: list[str] = []
    original = world.act

    def act(node: Node) -> None:
        original(node)
        missing = wanted[node.address] - node.prefixes
        if missing:
            losses.append(f"{world.now:.3f} {node.address} {sorted(missing)}")

    world.act = act  # type: ignore[method-assign]
    return losses


@pytest.mark.parametrize("both_dial", [False, True])
@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("victim", [0, 2])
def test_a_killed_speaker_comes_back_and_nobody_loses_a_route(seed: int, victim: int, both_dial: bool) -> None:
    """Kill -9, two seconds of absence, Restart bit: neither the node itself nor its peers miss a route for a moment."""
    world, nodes = running(seed, 3, both_dial=both_dial)
    losses = watch_losses(world, nodes)

    nodes[victim].kill()
    world.run(2)
    nodes[victim].start(restarted=True)
    world.run(20)

    assert losses == []
    assert converged(nodes)
    assert nodes[victim].view.in_sync


def test_a_route_that_went_during_the_restart_is_swept_at_end_of_rib() -> None:
    """Stale routes that the peer does not repeat go when it has said everything, not before."""
    world, nodes = running(1, 2)
    gone, stays = nodes[1].settings.originated
    nodes[1].kill()
    world.run(1)
    assert {gone, stays} <= nodes[0].prefixes
    nodes[1].settings = replace(nodes[1].settings, originated=(stays,))
    nodes[1].start(restarted=True)
    world.run(6)

    assert nodes[0].prefixes == {stays}
    assert any(NoteKind.STALE_SWEPT.name in line for line in world.trace)


def test_a_peer_that_has_nothing_left_after_its_restart_is_swept_too() -> None:
    """End-of-RIB alone, without any route before it, takes the stale routes out of the agent's view as well."""
    world, nodes = running(1, 2)
    nodes[1].kill()
    world.run(1)
    nodes[1].settings = replace(nodes[1].settings, originated=())
    nodes[1].start(restarted=True)
    world.run(30)

    assert nodes[0].prefixes == set()


def test_a_peer_that_stays_away_loses_its_routes_after_its_restart_time() -> None:
    """The peer's own restart time bounds how long its routes are kept."""
    world, nodes = running(1, 2, graceful_restart_s=20)
    nodes[1].kill()

    took = world.run(60, until=lambda: not nodes[0].prefixes)

    assert 20 <= took <= 20.1


def test_a_cold_start_makes_peers_forget() -> None:
    """A node that rebooted does not claim to have kept forwarding, so its old routes go when it is back."""
    world, nodes = running(1, 2)
    old = nodes[1].settings.originated
    nodes[1].kill()
    world.run(1)
    nodes[1].settings = replace(nodes[1].settings, originated=())
    nodes[1].start(restarted=False)
    world.run(5)

    assert not set(old) & nodes[0].prefixes


def test_the_agent_keeps_routes_of_a_dead_speaker_until_the_next_is_in_sync() -> None:
    """A restarted speaker that has heard nobody yet does not make the agent sweep."""
    world, nodes = running(1, 3)
    before = nodes[0].prefixes
    nodes[0].kill()
    assert nodes[0].prefixes == before
    for other in nodes[1:]:
        world.silence(other)
    nodes[0].start(restarted=True)
    world.run(60)

    assert nodes[0].prefixes == before
    assert not nodes[0].view.in_sync
    world.run(70)
    assert nodes[0].view.in_sync
    assert nodes[0].prefixes == set()


def test_a_silent_peer_is_kept_as_stale_where_it_covers_notifications() -> None:
    """RFC 8538: with the N bit an expired hold timer starts graceful restart instead of losing the routes."""
    world, nodes = running(1, 2, hold_time_s=9)
    before = nodes[0].prefixes
    world.silence(nodes[1])
    world.run(15)

    assert nodes[0].prefixes == before
    assert all(route.stale for route in nodes[0].view.routes.values())


def test_a_restart_is_seen_by_the_new_connection_where_the_old_one_never_ended() -> None:
    """The peer's machine lost its connections without a word; its new OPEN replaces the old session at once."""
    world, nodes = running(1, 2)
    before = nodes[1].prefixes
    nodes[0].wires.clear()
    for wire in list(nodes[1].wires.values()):
        wire.ends[nodes[0].address] = None
    nodes[0].core = None
    nodes[0].agent.disconnected()
    nodes[0].start(restarted=True)
    world.run(3)

    assert converged(nodes)
    assert nodes[1].prefixes == before


def test_all_nodes_restart_at_once_without_loss() -> None:
    """Speakers that all restart do not wait for each other for ever, and no kernel loses a route."""
    world, nodes = running(3, 4)
    losses = watch_losses(world, nodes)
    for node in nodes:
        node.kill()
    world.run(0.5)
    for node in nodes:
        node.start(restarted=True)
    world.run(20)

    assert losses == []
    assert converged(nodes)
    assert all(node.view.in_sync for node in nodes)
