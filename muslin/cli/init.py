"""`muslin init`: the file of facts, from what kubeadm or Kubernetes knows and from what a person answers."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Mapping
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import click

from blueprints import draft, facts, found
from blueprints.fact_parts import Provider
from muslin import yaml
from muslin.cli.blueprint import read_text
from muslin.cli.printing import printable
from muslin.errors import BadInput, Failed, Problem
from muslin.net import parse_address, parse_prefix

__all__ = ["init"]

_KUBEADM_CONFIG = "/api/v1/namespaces/kube-system/configmaps/kubeadm-config"


@click.command()
@click.option("--from-kubeadm", metavar="FILE", help="Take ranges and names from a kubeadm configuration.")
@click.option("--from-cluster", is_flag=True, help="Ask a Kubernetes API server for nodes and ranges; reads only.")
@click.option("--context", metavar="NAME", help="With --from-cluster: context of the kubeconfig.")
@click.option("--out", "path", type=click.Path(path_type=Path), default=Path("cluster.yaml"), show_default=True)
@click.option("--force", is_flag=True, help="Replace a file that is there.")
@click.option("--defaults", is_flag=True, help="Do not ask: take the defaults. Nodes must be known then.")
def init(
    *, from_kubeadm: str | None, from_cluster: bool, context: str | None, path: Path, force: bool, defaults: bool
) -> None:
    r"""Write the file of facts that `explain` and `render` read. Asks for what is not known; Enter takes the default.

    \b
    muslin init                              ask for everything
    muslin init --from-kubeadm kubeadm.yaml  take ranges from there, ask for more
    muslin init --from-cluster --defaults    take nodes and ranges that run

    Exit status: 0 written, 1 the file could not be written or the API server did not answer, 2 what was read or
    answered is wrong.
    """
    if path.exists() and not force:
        raise BadInput(Problem("there is a file of this name already", str(path), "give --force, or another --out"))
    known: dict[str, Any] = {}
    if from_cluster:
        known = found.merged(known, asyncio.run(_of_cluster(context)))
    if from_kubeadm is not None:
        known = found.merged(known, _of_kubeadm(read_text(from_kubeadm), from_kubeadm))
    asked = {**known, **_Questions(known, ask=not defaults).answers()}
    whole = facts.load(draft.document(asked), file=str(path))
    asked["blueprint"] = draft.fitting(whole)
    try:
        path.write_text(draft.text(asked), "utf-8")
    except OSError as error:
        what = f"the file can't be written: {error.strerror}"
        raise Failed(Problem(what, str(path), "check the folder and its rights")) from error
    name = printable(str(path))
    click.echo(f"{name} is written; next:\n  muslin explain {name}\n  muslin render {name} --out .")


def _of_kubeadm(octets: bytes, name: str) -> dict[str, Any]:
    documents = [document.value for document in yaml.load(octets, name)]
    try:
        told = found.facts_of_kubeadm(documents)
    except (ValueError, TypeError) as error:
        raise BadInput(Problem(str(error), name, "correct it; kubeadm would refuse it as well")) from None
    if not told:
        fix = "give a file with ClusterConfiguration, as `kubeadm config print init-defaults` shows"
        raise BadInput(Problem("this is no configuration of kubeadm that tells of a network", name, fix))
    return told


async def _of_cluster(context: str | None) -> dict[str, Any]:
    from muslin.kubernetes.client import KubernetesClient  # noqa: PLC0415 - only with this flag
    from muslin.kubernetes.errors import Forbidden, NotFound  # noqa: PLC0415
    from muslin.kubernetes.finding import find_access  # noqa: PLC0415

    usual = Path.home() / ".kube" / "config"
    kubeconfig = os.environ.get("KUBECONFIG") or (str(usual) if usual.exists() else None)
    client = await KubernetesClient.connect(find_access(kubeconfig=kubeconfig, context=context))
    try:
        nodes: list[Mapping[str, Any]] = []
        more: str | None = None
        while True:
            page = await client.page("/api/v1/nodes", continue_=more)
            nodes += page.get("items") or ()
            more = page.get("metadata", {}).get("continue")
            if not more:
                break
        told = found.facts_of_nodes(nodes)
        try:
            kubeadm = await client.get(_KUBEADM_CONFIG)
        except (NotFound, Forbidden):
            return told
        text = str(kubeadm.get("data", {}).get("ClusterConfiguration", ""))
        return found.merged(told, _of_kubeadm(text.encode(), "kubeadm-config")) if text else told
    finally:
        await client.close()


class _Questions:
    """What a person is asked, with what is known already as the default."""

    def __init__(self, known: Mapping[str, Any], *, ask: bool) -> None:
        self._known = known
        self._ask = ask

    def answers(self) -> dict[str, Any]:
        """Everything that a blueprint needs."""
        known, told = self._known, dict[str, Any]()
        told["name"] = known.get("name") or self._text("Name of the cluster", "example")
        nodes = known.get("nodes") or self._nodes()
        if not nodes:
            raise BadInput(Problem("no nodes are known", "nodes", "leave --defaults out, or give --from-cluster"))
        told["nodes"] = nodes
        told["subnets"] = known.get("subnets") or self._list(
            "Subnets of the nodes", _subnets(nodes), lambda text: str(parse_prefix(text))
        )
        told["networkMTU"] = int(self._text("MTU of the links between them", "1500", _whole(576, 65535)))
        told["provider"] = known.get("provider") or self._text("Provider", Provider.OTHER.value, _provider)
        told["plannedNodes"] = int(self._text("How many nodes it may grow to", str(len(nodes)), _whole(1, 100_000)))
        told["podRange"] = known.get("podRange") or self._text(
            "Range for pods", "10.48.0.0/16", lambda text: str(parse_prefix(text))
        )
        return told

    def _text(self, question: str, default: str, check: Callable[[str], str] = str) -> str:
        if not self._ask:
            return default

        def checked(text: str) -> str:
            try:
                return check(text.strip())
            except ValueError as error:
                raise click.BadParameter(str(error)) from None

        answer: str = click.prompt(question, default=default, value_proc=checked, err=True)
        return answer

    def _list(self, question: str, default: list[str], check: Callable[[str], str]) -> list[str]:
        def all_of(text: str) -> str:
            return ", ".join(check(each.strip()) for each in text.split(",") if each.strip())

        return self._text(f"{question}, with commas between", ", ".join(default), all_of).split(", ")

    def _nodes(self) -> list[dict[str, str]]:
        if not self._ask:
            return []
        click.echo("The nodes, one a line as NAME ADDRESS; an empty line ends them.", err=True)
        nodes: list[dict[str, str]] = []
        while True:
            line: str = click.prompt(f"Node {len(nodes) + 1}", default="", show_default=False, err=True)
            name, _, address = line.strip().partition(" ")
            if not name:
                return nodes
            try:
                nodes.append({"name": name, "address": str(parse_address(address.strip()))})
            except ValueError as error:
                click.echo(f"Error: {error}; write NAME ADDRESS, such as node-a 192.0.2.1", err=True)


def _subnets(nodes: list[dict[str, Any]]) -> list[str]:
    """A guess: a /24 around each IPv4 address."""
    addresses = [each["address"] for each in nodes if "address" in each]
    return list(dict.fromkeys(str(ip_network(f"{address}/24", strict=False)) for address in addresses))


def _whole(least: int, most: int) -> Callable[[str], str]:
    def check(text: str) -> str:
        if not text.isdecimal() or not least <= int(text) <= most:
            raise ValueError(f"{text!r} is not a whole number from {least} to {most}")
        return text

    return check


def _provider(text: str) -> str:
    known = [each.value for each in Provider]
    if text not in known:
        raise ValueError(f"{text!r} is none of {', '.join(known)}")
    return text
