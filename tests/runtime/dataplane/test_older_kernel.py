"""The drivers on Linux 6.1, the oldest kernel we promise: no table that is owned and persistent, other dumps."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

_ROOT = Path(__file__).parents[3]
_TESTS = ("test_nftables_driver.py", "test_conntrack_cut.py")


@pytest.mark.slow
@pytest.mark.netns
def test_drivers_on_linux_6_1() -> None:
    """The drivers' own tests pass inside user-mode-linux 6.1; what 6.1 lacks is skipped there."""
    folder = os.environ.get("MUSLIN_UML")
    if not folder:
        pytest.skip("MUSLIN_UML names no folder with a user-mode-linux kernel")
    run = Path(folder) / "uml-ipip.sh"
    kernel = Path(folder) / "linux"
    if not (run.is_file() and os.access(kernel, os.X_OK)):
        pytest.skip(f"{folder} has no uml-ipip.sh, or no kernel that can be executed")
    tests = [str(Path(__file__).with_name(name)) for name in _TESTS]
    inside = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-m", "netns", *tests]

    done = subprocess.run(
        ["bash", str(run), "run", "-t", "280", *inside],
        env={**os.environ, "UML_KERNEL": str(kernel)},
        cwd=_ROOT,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )

    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-1000:]
    assert " passed" in done.stdout
