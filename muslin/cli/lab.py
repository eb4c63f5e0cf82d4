"""`muslin lab`: a whole cluster in network namespaces on this machine, and the demo on it."""

from __future__ import annotations

import shlex
import sys

import click

from muslin.cli.tables import console, plain_table
from muslin.errors import MuslinError
from muslin.lab import interrupts, verbs
from muslin.lab.state import StateFolder
from muslin.lab.topology import Topology

__all__ = ["lab"]

_NAME = click.option("--name", default="lab", show_default=True, help="Name of the lab; several can be up.")


@click.group()
def lab() -> None:
    r"""A whole cluster on this machine: nodes, agents, BGP, git, reconciler, pods, packets.

    It lives in namespaces of its own, needs no root, and never touches this machine's network.

    \b
    muslin lab demo                      watch a git push change what packets do
    muslin lab up --nodes 3              a cluster to play with
    muslin lab exec node1 -- ip route    look at a node, a pod, the router
    muslin lab down                      nothing is left
    """


@lab.command()
@click.option("--keep", is_flag=True, help="Leave the cluster up, and say what to try next. Ctrl-C takes it down.")
@_NAME
def demo(name: str, *, keep: bool) -> None:
    """Show the main job: from a git push to a packet, in under a minute.

    Exit status 0 only if everything that was checked held. Everything is taken down at the end, after Ctrl-C too.
    """
    from muslin.lab.demo.story import show  # noqa: PLC0415 - only this verb pays for it

    held = show(Topology.of(3, name=name), console(), keep=keep)
    if keep:
        _what_next(name)
    sys.exit(0 if held else 1)


@lab.command()
@click.option("--nodes", default=3, show_default=True, help="How many nodes, 1 to 10.")
@click.option("--mtu", default=1500, show_default=True, help="MTU of the links between them, 576 to 9000.")
@_NAME
def up(nodes: int, mtu: int, name: str) -> None:
    """Bring a cluster up: nodes with agent and BGP speaker, git repository, reconciler."""
    topology = Topology.of(nodes, name=name, mtu=mtu)
    with interrupts.raised():
        state = verbs.up(topology)
    click.echo(f"lab {name} is up: {nodes} node{'s' if nodes > 1 else ''}, state in {state.path}")
    _what_next(name)


@lab.command()
@_NAME
def down(name: str) -> None:
    """Take a cluster down. Nothing is left: no process, namespace, interface, file."""
    with interrupts.ignored():
        was_up = verbs.down(name)
    click.echo(f"lab {name} is down" if was_up else f"there was no lab {name}")


@lab.command()
@_NAME
def status(name: str) -> None:
    """Show nodes, processes and pods. Exit status 1 where the lab is not up."""
    found = verbs.status(name)
    click.echo(plain_table(["NODE", "ADDRESS"], [[each["name"], each["address"]] for each in found["nodes"]]))
    click.echo()
    rows = [
        [each["name"], str(each["pid"] or "-"), str(each["starts"]), each["namespace"] or "-", each["log"]]
        for each in found["processes"]
    ]
    click.echo(plain_table(["PROCESS", "PID", "STARTS", "IN", "LOG"], rows))
    if found["pods"]:
        click.echo()
        pods = [
            [
                f"{each['namespace']}.{each['name']}",
                each["node"],
                ", ".join(address["address"].split("/")[0] for address in each["result"].get("ips", ())),
            ]
            for each in found["pods"]
        ]
        click.echo(plain_table(["POD", "NODE", "ADDRESS"], pods))


@lab.command("exec", context_settings={"ignore_unknown_options": True})
@click.argument("where")
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
@_NAME
def execute(where: str, command: tuple[str, ...], name: str) -> None:
    r"""Run COMMAND in WHERE: a node, a pod as NAMESPACE.NAME, `router`, `outside`, `switch`.

    Gives the command's own exit status.

    \b
    muslin lab exec node1 -- nft list table inet calico
    muslin lab exec demo.client -- ping -c 3 203.0.113.10
    """
    sys.exit(verbs.execute(name, where, command).returncode)


@lab.command()
@click.argument("where")
@_NAME
def shell(where: str, name: str) -> None:
    """Open a shell in WHERE: a node, a pod as NAMESPACE.NAME, `router`, `outside`."""
    sys.exit(verbs.shell(name, where))


@lab.group()
def pod() -> None:
    """Attach and detach pods, as a container runtime does."""


@pod.command("add")
@click.argument("name_", metavar="NAMESPACE.NAME")
@click.option("--node", required=True, help="On which node.")
@click.option("--label", "labels", multiple=True, metavar="KEY=VALUE", help="A label of the pod. Repeatable.")
@_NAME
def add(name_: str, node: str, labels: tuple[str, ...], name: str) -> None:
    """Make a pod's namespace and execute the CNI plugin; prints the address."""
    namespace, pod_name = _pod_name(name_)
    parsed = dict(_label(text) for text in labels)
    result = verbs.add_pod(name, node, namespace, pod_name, parsed)
    click.echo(", ".join(str(each["address"]).split("/")[0] for each in result["ips"]))


@pod.command("remove")
@click.argument("name_", metavar="NAMESPACE.NAME")
@_NAME
def remove(name_: str, name: str) -> None:
    """Execute the CNI plugin's DEL and remove the pod's namespace."""
    namespace, pod_name = _pod_name(name_)
    verbs.remove_pod(name, namespace, pod_name)


def _pod_name(text: str) -> tuple[str, str]:
    namespace, dot, name = text.partition(".")
    if not (namespace and dot and name):
        raise click.BadParameter(f"{text!r} is not NAMESPACE.NAME, such as demo.client", param_hint="NAMESPACE.NAME")
    return namespace, name


def _label(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not (key and equals):
        raise click.BadParameter(f"{text!r} is not KEY=VALUE", param_hint="--label")
    return key, value


def _what_next(name: str) -> None:
    option = "" if name == "lab" else f" --name {name}"
    try:
        pods = [f"{each['namespace']}.{each['name']}" for each in verbs.status(name)["pods"]]
    except MuslinError:
        pods = []
    state = StateFolder.of(name)
    somewhere = next((each for each in pods if each.startswith("demo.")), "node1")
    click.echo(f"""
Try next:
  export MUSLIN_DATASTORE={shlex.quote(str(state.datastore))}
  muslin get ippools -o wide          muslin get wep -A          muslin status
  muslin node status --node node1
  muslin lab exec{option} node1 -- ip route
  muslin lab exec{option} node1 -- nft list table inet calico
  muslin lab shell{option} {somewhere}
  git clone {shlex.quote(str(state.repository))} network    # change a policy, push, and look again
  muslin lab down{option}""")
