"""The same interface as the small engine's `Stack`, by Pulumi's own command line and provider (its Automation API).

Never seen to run where it was written: the command line is in no package index. Events are its own record of what it
did; errors are what it prints, with the diagnostics.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from pulumi import automation
from pulumi.automation import events

from tests.stacks.engine.deployment import Result
from tests.stacks.engine.monitor import Step

__all__ = ["RealStack"]


class RealStack:
    """One stack of the project in a folder, in a backend of files.

    Args:
        folder: with Pulumi.yaml and the program.
        environment: of the command line.
        config: as `pulumi config set` has it; JSON for what is no text.
        secrets: keys that are set with --secret.
    """

    def __init__(
        self, folder: Path, environment: Mapping[str, str], config: dict[str, Any], secrets: tuple[str, ...]
    ) -> None:
        self.folder, self.config, self._secrets = folder, config, secrets
        options = automation.LocalWorkspaceOptions(env_vars=environment, secrets_provider="passphrase")
        self._stack = automation.create_or_select_stack("test", work_dir=str(folder), opts=options)

    def preview(self) -> Result:
        """As of the small engine; a preview's outputs are in no event."""
        return self._carried_out(self._stack.preview, lambda event: event.resource_pre_event)

    def up(self) -> Result:
        """As of the small engine."""
        return self._carried_out(self._stack.up, lambda event: event.res_outputs_event)

    def destroy(self) -> Result:
        """As of the small engine."""
        return self._carried_out(self._stack.destroy, lambda event: event.res_outputs_event)

    def refresh(self) -> list[str]:
        """As of the small engine: by what of the state is another afterwards."""
        before = self._specs()
        self._stack.refresh()
        after = self._specs()
        return [name for name, spec in before.items() if after.get(name) != spec]

    def exported(self) -> dict[str, Any]:
        """As of the small engine."""
        state = self._stack.export_stack()
        return {"version": state.version, "deployment": dict(state.deployment or {})}

    def unprotect(self) -> None:
        """As of the small engine: by the state, since the Automation API has no such command."""
        state = self.exported()
        resources = [{name: value for name, value in each.items() if name != "protect"}
                     for each in state["deployment"]["resources"]]  # fmt: skip
        deployment = {**state["deployment"], "resources": resources}
        self._stack.import_stack(automation.Deployment(state["version"], deployment))

    def _specs(self) -> dict[str, Any]:
        return {
            each["urn"].rpartition("::")[2]: each.get("outputs", {}).get("spec")
            for each in self.exported()["deployment"].get("resources", ())
            if each["type"].startswith("kubernetes:")
        }

    def _carried_out(
        self,
        command: Callable[..., Any],
        taken: Callable[[events.EngineEvent], events.ResourcePreEvent | events.ResOutputsEvent | None],
    ) -> Result:
        values = {
            key: automation.ConfigValue(each if isinstance(each, str) else json.dumps(each), key in self._secrets)
            for key, each in self.config.items()
        }
        self._stack.set_all_config(values)
        steps: list[Step] = []
        said: list[tuple[str, str]] = []

        def heard(event: events.EngineEvent) -> None:
            found = taken(event)
            if found is not None:
                action = getattr(found.metadata.op, "value", str(found.metadata.op))
                steps.append(Step(action, found.metadata.urn, found.metadata.type))
            if event.diagnostic_event is not None:
                said.append((event.diagnostic_event.severity.upper(), event.diagnostic_event.message))

        try:
            done = command(on_event=heard)
        except automation.CommandError as error:
            told = "\n".join(text for severity, text in said if severity == "ERROR")
            return Result(tuple(steps), f"{told}\n{error}", {}, tuple(said))
        outputs = getattr(done, "outputs", None) or {}
        values_of = {name: each.value for name, each in outputs.items()}
        secret = frozenset(name for name, each in outputs.items() if each.secret)
        return Result(tuple(steps), "", values_of, tuple(said), secret)
