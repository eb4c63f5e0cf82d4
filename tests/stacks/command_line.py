"""Pulumi's own command line for tests, where a machine has it: nothing is downloaded, no account, no question asked."""

from __future__ import annotations

import functools
import os
import shutil
import sys
from pathlib import Path

from tests.support.kube_apiserver import KubeApiserver

__all__ = ["environment", "missing"]

_ROOT = Path(__file__).parents[2]
_NEEDED = ("pulumi", "pulumi-language-python", "pulumi-language-python-exec", "pulumi-resource-kubernetes")


@functools.cache
def missing() -> str:
    """Why these tests can't run here; empty where they can."""
    lacking = [name for name in _NEEDED if shutil.which(name) is None]
    return f"not on the PATH: {', '.join(lacking)} (no package index has them: see pulumi.com)" if lacking else ""


def environment(server: KubeApiserver, home: Path) -> dict[str, str]:
    """Variables of a process that runs it: state in a file, plugins from the PATH, this Python, this cluster."""
    (home / "state").mkdir(exist_ok=True)
    (home / "home").mkdir(exist_ok=True)
    return {
        **{name: value for name, value in os.environ.items() if not name.startswith("PULUMI")},
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "PYTHONPATH": str(_ROOT),
        "KUBECONFIG": str(server.kubeconfig),
        "PULUMI_BACKEND_URL": f"file://{home / 'state'}",
        "PULUMI_CONFIG_PASSPHRASE": "",
        "PULUMI_HOME": str(home / "home"),
        "PULUMI_SKIP_UPDATE_CHECK": "1",
        "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "1",
        "PULUMI_AUTOMATION_API_SKIP_VERSION_CHECK": "true",
    }
