"""The folder of one lab: everything that outlives its processes, private to its user."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from muslin.errors import Failed, Problem

__all__ = ["RUN", "StateFolder"]

RUN = Path("/run/muslin")
"""Inside the lab only: sockets of its processes, on a tmpfs that goes with the lab. Short, for unix sockets."""


@dataclass(frozen=True, slots=True)
class StateFolder:
    """Places inside the folder `path`."""

    path: Path

    @classmethod
    def of(cls, name: str) -> StateFolder:
        """The folder of the lab `name`: under XDG_STATE_HOME, else under /tmp for each user."""
        home = os.environ.get("XDG_STATE_HOME")
        parent = Path(home) / "muslin" if home else Path("/tmp") / f"muslin-{os.geteuid()}"  # noqa: S108 made 0700
        return cls(parent / name)

    def create(self) -> None:
        """Make the folder and its parts, mode 0700. Raises Failed where it can't be, or is somebody else's."""
        if self.path.resolve().is_relative_to("/run"):
            what = "a lab's folder can't be below /run, as each lab has a /run of its own"
            raise Failed(Problem(what, str(self.path), "set XDG_STATE_HOME to a folder elsewhere"))
        for folder in (self.path.parent, self.path, self.logs, self.path / "datastore", self.path / "cache"):
            try:
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
                status = folder.lstat()
            except OSError as error:
                problem = Problem(
                    f"can't make it: {error.strerror}", str(folder), "set XDG_STATE_HOME to a folder of yours"
                )
                raise Failed(problem) from error
            if status.st_uid != os.geteuid() or not folder.is_dir() or folder.is_symlink():
                problem = Problem(
                    "the folder belongs to somebody else", str(folder), "set XDG_STATE_HOME to one of yours"
                )
                raise Failed(problem)
            if folder != self.path.parent:
                folder.chmod(0o700)

    @property
    def logs(self) -> Path:
        """One file a process."""
        return self.path / "logs"

    @property
    def datastore(self) -> Path:
        """The embedded datastore that all nodes share."""
        return self.path / "datastore" / "muslin.db"

    @property
    def repository(self) -> Path:
        """The bare git repository to push to."""
        return self.path / "repository.git"

    @property
    def mirror(self) -> Path:
        """Where the fetcher keeps its copy of the repository."""
        return self.path / "cache" / "mirror.git"

    @property
    def control(self) -> Path:
        """The supervisor's unix socket."""
        return self.path / "control.sock"

    @property
    def pid_file(self) -> Path:
        """Process id of the lab's outermost process; there from the first moment of its start."""
        return self.path / "lab.pid"

    @property
    def topology(self) -> Path:
        """What was brought up."""
        return self.path / "topology.json"
