"""`muslin agent` and `muslin speaker`: the processes of a node."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from muslin.errors import BadInput, Problem

__all__ = ["agent", "speaker"]


@click.command()
@click.option("--node", required=True, help="Name of this node, as in the datastore.")
@click.option(
    "--datastore", envvar="MUSLIN_DATASTORE", type=click.Path(path_type=Path), required=True,
    help="File of the embedded datastore; also from MUSLIN_DATASTORE.",
)  # fmt: skip
@click.option(
    "--run-dir", type=click.Path(path_type=Path), default=Path("/run/calico"), show_default=True,
    help="Where speaker.sock is, and muslin-cni.sock will be.",
)  # fmt: skip
@click.option("--address", help="Address of the BGP speaker with its length, 192.0.2.1/24. Default: the first found.")
@click.option("--label", "labels", multiple=True, metavar="KEY=VALUE", help="Put this label on the Node. Repeatable.")
def agent(node: str, datastore: Path, run_dir: Path, address: str | None, labels: tuple[str, ...]) -> None:
    """Run the agent of a node: routes, policy, pods.

    Needs NET_ADMIN. Whenever it is stopped or killed, what is in the kernel stays in force; the next start finds its
    own and changes only what differs. Logs one JSON object a line to standard error.
    """
    from muslin.net import parse_interface_address  # noqa: PLC0415 - only this verb pays for it
    from runtime.main import Settings, main  # noqa: PLC0415

    try:
        parsed = None if address is None else parse_interface_address(address)
    except ValueError as error:
        raise BadInput(Problem(str(error), "--address", "for example 192.0.2.1/24")) from error
    main(Settings(node, datastore, run_dir, parsed, _labels(labels)))


def _labels(texts: tuple[str, ...]) -> dict[str, str]:
    labels = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not (key and equals):
            raise BadInput(Problem(f"{text!r} is not a label", "--label", "for example rack=r1"))
        labels[key] = value
    return labels


@click.command(context_settings={"ignore_unknown_options": True, "help_option_names": []})
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def speaker(arguments: tuple[str, ...]) -> None:
    """Run the BGP speaker of a node."""
    from runtime.bgp.main import main  # noqa: PLC0415

    sys.exit(main(arguments))
