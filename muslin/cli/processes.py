"""`muslin agent` and `muslin speaker`: the processes of a node."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from muslin.cli.options import Reach, reaching
from muslin.errors import BadInput, Problem

__all__ = ["agent", "speaker"]


@click.command()
@click.option("--node", required=True, envvar="NODENAME", help="Name of this node, as in the datastore.")
@click.option(
    "--run-dir", type=click.Path(path_type=Path), default=Path("/run/calico"), show_default=True, metavar="FOLDER",
    help="Where speaker.sock is, and muslin-cni.sock will be.",
)  # fmt: skip
@click.option("--address", help="Address of the BGP speaker with its length, 192.0.2.1/24. Default: the first found.")
@click.option("--label", "labels", multiple=True, metavar="KEY=VALUE", help="Put this label on the Node. Repeatable.")
@reaching
def agent(node: str, *, run_dir: Path, address: str | None, labels: tuple[str, ...], reach: Reach) -> None:
    r"""Run the agent of a node: routes, policy, pods. Runs until SIGTERM.

    Needs NET_ADMIN. Whenever it is stopped or killed, what is in the kernel stays in force; the next start finds its
    own and changes only what differs. Logs one JSON object a line to standard error. The datastore must be there:
    an agent on an empty one would take every route and policy away. Which one, also etcd and Kubernetes, is told as
    for `muslin get`: --datastore, --config, MUSLIN_DATASTORE, /etc/calico/calicoctl.cfg, DATASTORE_TYPE and its like.

    \b
    muslin agent --node node1 --datastore /var/lib/muslin/datastore.db
    muslin agent --node node1 --address 192.0.2.1/24 --label rack=r1

    Exit status: 0 stopped as asked, 1 it could not begin or go on, 2 wrong usage.
    """
    from muslin.datastore.opening import check  # noqa: PLC0415 - only this verb pays for it
    from muslin.net import parse_interface_address  # noqa: PLC0415
    from muslin.resources.base import SUBDOMAIN_NAME  # noqa: PLC0415

    if not SUBDOMAIN_NAME.allows(node):
        raise BadInput(
            Problem(f"{node!r} can't be the name of a node", "--node", "use lower case letters, digits, '-' and '.'")
        )
    try:
        parsed = None if address is None else parse_interface_address(address)
    except ValueError as error:
        raise BadInput(Problem(str(error), "--address", "for example 192.0.2.1/24")) from error
    if address is not None and "/" not in address:
        raise BadInput(Problem(f"{address!r} has no length", "--address", "for example 192.0.2.1/24"))
    if parsed is not None and parsed.version != 4:
        raise BadInput(
            Problem(f"{address!r} is an IPv6 address", "--address", "give an IPv4 one: the agent routes IPv4 pods only")
        )
    wanted = _labels(labels)
    settings = reach.settings()
    check(settings)
    from runtime.main import Settings, main  # noqa: PLC0415

    main(Settings(node, settings, run_dir, parsed, wanted))


def _labels(texts: tuple[str, ...]) -> dict[str, str]:
    from muslin.resources.names import label_problems  # noqa: PLC0415

    labels: dict[str, str] = {}
    problems: list[Problem] = []
    for text in texts:
        key, equals, value = text.partition("=")
        if not (key and equals):
            problems.append(Problem(f"{text!r} is not a label", "--label", "for example rack=r1"))
        elif labels.setdefault(key, value) != value:
            problems.append(Problem(f"the label {key!r} is given twice", "--label", "give it once"))
    problems += [
        Problem(f"{key}={labels[key]} is not a label: {what}", "--label", "for example rack=r1")
        for key, what in label_problems(labels)
    ]
    if problems:
        raise BadInput(problems)
    return labels


@click.command(context_settings={"ignore_unknown_options": True, "help_option_names": []})
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def speaker(arguments: tuple[str, ...]) -> None:
    """Run the BGP speaker of a node."""
    from runtime.bgp.main import main  # noqa: PLC0415

    sys.exit(main(arguments))
