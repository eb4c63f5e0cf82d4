"""`node diags` and `node checksystem`: a bundle of what this host says of itself, and what its kernel has."""

from __future__ import annotations

import io
import os
import re
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import click

from muslin.cli.printing import printable
from muslin.cli.wording import Ended
from muslin.errors import Problem

__all__ = ["checksystem", "diags", "missing_modules"]

_COMMANDS: Final = (
    ("", "date", "date"),
    ("", "hostname", "hostname"),
    ("Dumping netstat", "netstat -a -n", "netstat"),
    ("Dumping sockets", "ss -a -n", "ss"),
    ("Dumping routes (IPv4)", "ip -4 route show table all", "ipv4_route"),
    ("Dumping routes (IPv6)", "ip -6 route show table all", "ipv6_route"),
    ("Dumping rules", "ip rule", "ip_rule"),
    ("Dumping interface info (IPv4)", "ip -4 addr", "ipv4_addr"),
    ("Dumping interface info (IPv6)", "ip -6 addr", "ipv6_addr"),
    ("Dumping links", "ip -d link", "ip_link"),
    ("Dumping nftables", "nft list ruleset", "nft_ruleset"),
    ("Dumping iptables (IPv4)", "iptables-save -c", "ipv4_tables"),
    ("Dumping iptables (IPv6)", "ip6tables-save -c", "ipv6_tables"),
    ("Dumping ipsets", "ipset list", "ipsets"),
    ("Copying journal for calico-node.service", "journalctl -u calico-node.service --no-pager", "journalctl_calico"),
)
_COMMAND_S: Final = 30.0

_REQUIRED: Final = {
    "ip_set": "CONFIG_IP_SET",
    "ip_tables": "CONFIG_IP_NF_IPTABLES",
    "xt_ipvs": "CONFIG_NETFILTER_XT_MATCH_IPVS",
    "vfio-pci": "CONFIG_VFIO_PCI",
    "ipt_REJECT": "CONFIG_IP_NF_TARGET_REJECT",
    "xt_rpfilter": "CONFIG_IP_NF_MATCH_RPFILTER",
    "nf_conntrack_netlink": "CONFIG_NF_CT_NETLINK",
    "xt_addrtype": "CONFIG_NETFILTER_XT_MATCH_ADDRTYPE",
    "xt_conntrack": "CONFIG_NETFILTER_XT_MATCH_CONNTRACK",
    "xt_mark": "CONFIG_NETFILTER_XT_MARK",
    "xt_multiport": "CONFIG_NETFILTER_XT_MATCH_MULTIPORT",
    "xt_set": "CONFIG_NETFILTER_XT_SET",
}
_OPTIONAL: Final = {
    "ip6_tables": "CONFIG_IP6_NF_IPTABLES",
    "xt_bpf": "CONFIG_NETFILTER_XT_MATCH_BPF",
    "xt_u32": "CONFIG_NETFILTER_XT_MATCH_U32",
}
_OLDEST_KERNEL: Final = (2, 6, 24)


@click.command()
@click.option(
    "--log-dir", default="/var/log/calico", show_default=True, metavar="FOLDER", help="Where logs of Calico are."
)
def diags(log_dir: str) -> None:
    r"""Collect what helps to find a fault of this host into one .tar.gz: routes, addresses, rules, sets, logs.

    \b
    sudo muslin node diags

    What can't be collected is told and left out. Exit status 0 once the bundle is written.
    """
    _need_root()
    click.echo("Collecting diagnostics")
    folder = Path(tempfile.mkdtemp(prefix="calico"))
    click.echo(f"Using temp dir: {folder}")
    bundle = folder / f"diags-{datetime.now(UTC):%Y%m%d_%H%M%S}.tar.gz"
    with tarfile.open(bundle, "w:gz") as archive:
        for told, command, name in _COMMANDS:
            if told:
                click.echo(told)
            _add(archive, f"diagnostics/{name}", _output(command))
        logs = Path(log_dir)
        if logs.is_dir():
            click.echo("Copying Calico logs")
            archive.add(logs, "diagnostics/logs", recursive=True)
        else:
            click.echo(printable(f"No logs found in {log_dir}; skipping log copying"))
    click.echo(f"\nDiags saved to {bundle}")


@click.command()
@click.option(
    "-f", "--kernel-config", default="", metavar="FILE", help="The kernel's configuration. [/boot/config-...]"
)
def checksystem(kernel_config: str) -> None:
    r"""Check that this host's kernel has what Calico needs of it.

    Muslin's own agent needs nftables and neither iptables nor ipset: a host that fails here may still run it.

    \b
    sudo muslin node checksystem

    Exit status 1 if something is missing.
    """
    _need_root()
    release = os.uname().release
    click.echo("Checking kernel version...")
    fine = _numbers(release) >= _OLDEST_KERNEL
    _result(release, fine=fine)
    if not fine:
        click.echo(f"Minimum kernel version to run Calico is 2.6.24. Detected kernel version: {release}")
    if kernel_config and not _read(Path(kernel_config)):
        click.echo(f"WARNING: {printable(kernel_config)} can't be read: it says nothing of this kernel", err=True)
    click.echo("Checking kernel modules...")
    missing = missing_modules(release, kernel_config or None)
    for module in (*_REQUIRED, *_OPTIONAL):
        if module in missing:
            click.echo(f"WARNING: Unable to detect the {module} module as Loaded/Builtin module or lsmod")
        _result(module, fine=module not in missing)
    if "ip6_tables" in missing:
        click.echo("WARNING: IPv6 will be unavailable as ip6_tables kernel module is not found")
    required = [module for module in missing if module in _REQUIRED]
    if required or not fine:
        line = "system doesn't meet one or more minimum systems requirements to run Calico"
        what = f"modules that are missing: {', '.join(required)}" if required else f"the kernel {release} is too old"
        raise Ended(line, Problem(what, release, "install or build them; Muslin's own agent needs nftables only"))
    click.echo("System meets minimum system requirements to run Calico!")


def missing_modules(release: str, kernel_config: str | None = None, root: Path = Path("/")) -> list[str]:
    """Which of the modules this kernel has in no way: loaded, loadable, built in, or by its configuration.

    Args:
        release: of the kernel, as `uname -r` tells it.
        kernel_config: its configuration's file; None looks at the usual places.
        root: where `/sys` and `/lib` are found.
    """
    known = set(_listed(root, release))
    built = _configured(root, release, kernel_config)
    return [
        module
        for module, option in (*_REQUIRED.items(), *_OPTIONAL.items())
        if not (_plain(module) in known or option in built or (root / "sys/module" / _plain(module)).exists())
    ]


def _listed(root: Path, release: str) -> Iterator[str]:
    for name in ("modules.dep", "modules.builtin"):
        text = _read(root / "lib/modules" / release / name)
        yield from (_plain(found) for found in re.findall(r"([^/\s:]+)\.ko", text))


def _configured(root: Path, release: str, given: str | None) -> set[str]:
    usual = (f"boot/config-{release}", "usr/src/linux/.config", f"lib/modules/{release}/build/.config")
    paths = [Path(given)] if given else [root / each for each in usual]
    text = next((found for path in paths if (found := _read(path))), "")
    return set(re.findall(r"^(CONFIG_[A-Z0-9_]+)=[ym]", text, re.MULTILINE))


def _read(path: Path) -> str:
    try:
        return path.read_text("utf-8", errors="replace")
    except (OSError, ValueError):
        return ""


def _plain(module: str) -> str:
    return module.replace("-", "_")


def _numbers(release: str) -> tuple[int, ...]:
    found = re.match(r"(\d+)\.(\d+)(?:\.(\d+))?", release)
    return tuple(int(part or 0) for part in found.groups()) if found else (0,)


def _result(name: str, *, fine: bool) -> None:
    click.echo(f"\t\t{name:<20}\t\t\t\t\t{'OK' if fine else 'FAIL'}")


def _need_root() -> None:
    if os.geteuid() != 0:
        line = "Need super user privileges: Operation not permitted"
        raise Ended(line, Problem(line, "this process", "run it with sudo"))


def _output(command: str) -> bytes:
    words = command.split()
    if shutil.which(words[0]) is None:
        click.echo(f"Failed to run command: {command}\nError: {words[0]} is not installed")
        return b""
    try:
        ran = subprocess.run(words, capture_output=True, timeout=_COMMAND_S, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        click.echo(printable(f"Failed to run command: {command} ({error})"))
        return b""
    if ran.returncode:
        reason = ran.stderr.decode(errors="replace").strip().split("\n")[0]
        click.echo(printable(f"Failed to run command: {command}: {reason}"))
    return ran.stdout + ran.stderr


def _add(archive: tarfile.TarFile, name: str, content: bytes) -> None:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mtime, entry.mode = len(content), int(datetime.now(UTC).timestamp()), 0o600
    archive.addfile(entry, io.BytesIO(content))
