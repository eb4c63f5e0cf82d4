"""`ipam`: who holds which address, what leaks, and the settings of address management."""

from __future__ import annotations

import click

from muslin.cli.verbs import LazyGroup

__all__ = ["ipam"]

_BELOW = {
    "show": ("muslin.cli.ipam_show:show", "How full pools and blocks are; who holds an address."),
    "check": ("muslin.cli.ipam_check:check", "Find what is inconsistent; write a report."),
    "release": ("muslin.cli.ipam_release:release", "Take an address back, or all that a report calls leaked."),
    "configure": ("muslin.cli.ipam_settings:configure", "Change the settings of address management."),
    "split": ("muslin.cli.ipam_settings:split", "Make several pools of one."),
}


@click.command(cls=LazyGroup, verbs=_BELOW)
def ipam() -> None:
    r"""Look after addresses.

    \b
    muslin ipam show --show-blocks
    muslin ipam show --ip 10.48.0.17
    muslin ipam check --show-problem-ips -o report.json
    """
