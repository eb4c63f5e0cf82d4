"""The process of a program: what Pulumi's language host starts, as its script `pulumi-language-python-exec` does it.

`python -m tests.stacks.engine.host MONITOR ENGINE PROJECT STACK preview|up PROGRAM`, in the program's folder.
"""

from __future__ import annotations

import asyncio
import json
import os
import runpy
import sys
import traceback
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

import pulumi
from pulumi.runtime import Settings, configure, run_in_stack, set_all_config

_PARALLEL: Final = 16
"""Resources at once, as the command line has it where nobody says otherwise."""


def main() -> int:
    """0 for a program that ended well, 1 for one that refused, 32 for an exception; errors are told to the engine."""
    monitor, engine, project, stack, mode, program = sys.argv[1:]
    set_all_config(json.loads(os.environ["PULUMI_CONFIG"]), json.loads(os.environ["PULUMI_CONFIG_SECRET_KEYS"]))
    configure(
        Settings(
            project=project, stack=stack, monitor=monitor, engine=engine, parallel=_PARALLEL, dry_run=mode == "preview",
            organization="organization", root_directory=str(Path.cwd()),
        )
    )  # fmt: skip
    sys.path.insert(0, str(Path.cwd()))

    def run() -> None:
        runpy.run_path(program, run_name="__main__")

    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    executor = ThreadPoolExecutor(_PARALLEL * 4)
    loop.set_default_executor(executor)
    try:
        loop.run_until_complete(run_in_stack(run))
    except pulumi.RunError as error:
        pulumi.log.error(str(error))
        return 1
    except Exception:
        pulumi.log.error("Program failed with an unhandled exception:\n" + traceback.format_exc())
        return 32
    finally:
        executor.shutdown(wait=True)
        loop.close()
    return 0


def _imported() -> None:
    """What programs of stacks import, so that they need not."""
    import pulumi_kubernetes.core.v1  # noqa: PLC0415 - only where programs are started from here
    import pulumi_kubernetes.meta.v1  # noqa: PLC0415 - as above
    import pulumi_kubernetes.rbac.v1  # noqa: F401, PLC0415 - as above

    import blueprints.catalogue  # noqa: PLC0415 - as above
    import muslin.pulumi.looking  # noqa: F401, PLC0415 - as above
    from muslin.resources.registry import KINDS  # noqa: PLC0415 - as above

    assert blueprints.catalogue.BLUEPRINTS
    assert all(kind.model for kind in KINDS.values())


if __name__ == "__main__":
    if sys.argv[1] == "--serve":
        from tests.stacks.engine.launcher import serve

        _imported()
        serve(sys.argv[2])
    sys.exit(main())
