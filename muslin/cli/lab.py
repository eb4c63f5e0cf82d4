"""`muslin lab`: a whole cluster in network namespaces on this machine, and the demo on it."""

from __future__ import annotations

import contextlib
import shlex
import sys

import click

from muslin.cli.tables import console, plain_table
from muslin.errors import BadInput, MuslinError, Problem
from muslin.lab import interrupts, verbs
from muslin.lab.state import StateFolder
from muslin.lab.topology import LARGEST_MTU, SMALLEST_MTU, Topology

__all__ = ["lab"]

_NAME = click.option("--name", default="lab", show_default=True, help="Name of the lab; several can be up.")


@click.group()
def lab() -> None:
    r"""A whole cluster on this machine: nodes, agents, BGP, git, reconciler, pods, packets.

    It lives in namespaces of its own, needs no root, and never touches this machine's network.

    \b
    muslin lab demo                      watch a git push change what packets do
    muslin lab up --nodes 3              a cluster to play with
    muslin lab up --facts cluster.yaml   the cluster that a file describes
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
@click.option("--nodes", type=int, help="How many nodes, 1 to 10.  [default: 3]")
@click.option(
    "--mtu", type=int, help=f"MTU of the links between them, {SMALLEST_MTU} to {LARGEST_MTU}.  [default: 1500]"
)
@click.option("--facts", metavar="FILE", help="The cluster that a file of facts describes: its nodes, subnets, MTU.")
@click.option("--blueprint", help="With --facts: which blueprint. Default: the file's own, else the one that fits.")
@click.option("--bare", is_flag=True, help="The network alone, without agents and reconciler.")
@_NAME
def up(*, nodes: int | None, mtu: int | None, facts: str | None, blueprint: str | None, bare: bool, name: str) -> None:
    r"""Bring a cluster up: nodes with agent and BGP speaker, git repository, reconciler.

    With --facts the nodes are those of the file, each subnet is a bridge, and what the blueprint decides is pushed.
    What agents of this version do not carry yet (encapsulation, reflectors, racks) is refused with the reason; --bare
    brings the network up without them.

    \b
    muslin lab up --nodes 5
    muslin lab up --facts cluster.yaml
    muslin lab up --facts cluster.yaml --bare

    Exit status: 0 it is up, 1 the machine forbids it, 2 the file or an option is wrong.
    """
    if facts is not None:
        from muslin.cli.lab_of_facts import up_with_facts  # noqa: PLC0415 - the plain lab needs no blueprint

        for option, given in (("--nodes", nodes), ("--mtu", mtu)):
            if given is not None:
                raise BadInput(Problem("the facts say that already", option, "leave it out, or --facts"))
        topology, state = up_with_facts(facts, blueprint, name=name, bare=bare)
    else:
        if blueprint is not None:
            raise BadInput(Problem("a blueprint decides about facts", "--blueprint", "give --facts FILE"))
        topology = Topology.of(3 if nodes is None else nodes, name=name, mtu=1500 if mtu is None else mtu, bare=bare)
        with interrupts.raised():
            state = verbs.up(topology)
    count = len(topology.nodes)
    click.echo(f"lab {name} is up: {count} node{'s' if count > 1 else ''}, state in {state.path}")
    if not bare:
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
    node, pods = "node1", list[str]()
    with contextlib.suppress(MuslinError):
        found = verbs.status(name)
        node = found["nodes"][0]["name"]
        pods = [f"{each['namespace']}.{each['name']}" for each in found["pods"]]
    state = StateFolder.of(name)
    somewhere = next((each for each in pods if each.startswith("demo.")), node)
    click.echo(f"""
Try next:
  export MUSLIN_DATASTORE={shlex.quote(str(state.datastore))}
  muslin get ippools -o wide          muslin get wep -A          muslin status
  muslin node status --node {node}
  muslin lab exec{option} {node} -- ip route
  muslin lab exec{option} {node} -- nft list table inet calico
  muslin lab shell{option} {somewhere}
  git clone {shlex.quote(str(state.repository))} network    # change a policy, push, and look again
  muslin lab down{option}""")
