"""`muslin lab up --facts`: from a cluster's file to a lab with its nodes and subnets, and what follows pushed."""

from __future__ import annotations

import click

from blueprints import catalogue, draft
from blueprints import facts as cluster_facts
from muslin import yaml
from muslin.cli.blueprint import must_be_known, only_document, read_text
from muslin.lab import interrupts, verbs
from muslin.lab.first_push import push_decided
from muslin.lab.state import StateFolder
from muslin.lab.topology import Topology
from muslin.lab.topology_of_facts import topology_of_facts

__all__ = ["up_with_facts"]


def up_with_facts(path: str, blueprint: str | None, *, name: str, bare: bool) -> tuple[Topology, StateFolder]:
    """Bring the lab of a file up.

    Args:
        path: of the file, `-` for standard input.
        blueprint: which decides; the file's own, else what fits, where None.
        name: of the lab.
        bare: the network alone; nothing is pushed.

    Raises:
        BadInput: the file is wrong, refused, or speaks of what a lab does not carry; with every reason.
        Failed: the machine forbids it.
    """
    octets = read_text(path)
    must_be_known(blueprint)
    document = only_document(yaml.load(octets, path), path)
    given = cluster_facts.load(document.value, document.places, path)
    named = given.model_copy(update={"blueprint": blueprint or given.blueprint or draft.fitting(given)})
    decided = catalogue.decide(named, document.places, path)
    topology = topology_of_facts(named, decided, name=name, bare=bare, places=document.places, file=path)
    with interrupts.raised():
        state = verbs.up(topology)
        if not bare:
            text = octets.decode()
            for group, commit in zip(decided.groups, push_decided(state, text, decided), strict=True):
                click.echo(f"pushed {group.name}: {commit[:12]}")
            if decided.decision("datastore").chosen != "embedded":
                click.echo("a lab keeps resources in the embedded datastore, whatever the facts wish for")
    return topology, state
