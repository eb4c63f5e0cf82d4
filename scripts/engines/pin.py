"""Write go.mod and go.sum for a version of Kubernetes: `python3 scripts/engines/pin.py v1.36.3`.

Kubernetes names its own parts by folders of its repository, which only that repository can resolve. Each of them is
published as a module of its own as well, under the same number behind `v0`; the pins say so.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
KUBERNETES = "k8s.io/kubernetes"
PROGRAMS = (f"{KUBERNETES}/cmd/kube-apiserver", f"{KUBERNETES}/cmd/kubectl", "go.etcd.io/etcd/server/v3")
ENVIRONMENT = {**os.environ, "GOWORK": "off", "GOTOOLCHAIN": "local", "GOFLAGS": "-mod=mod"}


def go(*arguments: str) -> str:
    """Standard output of one call of Go's command, made beside go.mod."""
    return subprocess.run(
        ["go", *arguments], cwd=HERE, env=ENVIRONMENT, check=True, stdout=subprocess.PIPE
    ).stdout.decode()


def block(word: str, lines: Sequence[str]) -> str:
    """Several directives of one kind."""
    return "".join([f"\n{word} (\n", *(f"\t{line}\n" for line in lines), ")\n"])


def main(version: str) -> None:
    """Replace go.mod and go.sum beside this file."""
    minor = version.removeprefix("v1.")
    downloaded: dict[str, Any] = json.loads(go("mod", "download", "-json", f"{KUBERNETES}@{version}"))
    theirs: dict[str, Any] = json.loads(go("mod", "edit", "-json", downloaded["GoMod"]))
    parts = sorted(each["Old"]["Path"] for each in theirs["Replace"] if each["New"]["Path"].startswith("./staging/"))
    required = {each["Path"]: each["Version"] for each in theirs["Require"] if each["Path"] not in parts}
    text = (
        "// Written by pin.py. The programs that tests need as real servers, built by build.sh.\n"
        f"module muslin.invalid/engines\n\ngo {theirs['Go']}\n"
        + block("tool", PROGRAMS)
        + block("require", [f"{path} {chosen}" for path, chosen in {KUBERNETES: version, **required}.items()])
        + block("replace", [f"{part} => {part} v0.{minor}" for part in parts])
    )
    (HERE / "go.mod").write_text(text)
    (HERE / "go.sum").unlink(missing_ok=True)
    go("mod", "tidy")


if __name__ == "__main__":
    main(*sys.argv[1:])
