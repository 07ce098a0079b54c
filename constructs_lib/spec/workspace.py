"""Which cluster.yaml is meant, and where the files that belong to it live: all in that file's folder."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from constructs_lib.errors import SecretsError

FILE_VARIABLE = "CLUSTERMESOS_FILE"
DEFAULT_FILE = "cluster.yaml"


def cache_folder(environ: Mapping[str, str] | None = None) -> Path:
    """Where the project keeps what it built, for all clusters and clones of this user.

    RuntimeError where the user has no home.
    """
    base = (os.environ if environ is None else environ).get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "clustermesos"


@dataclass(frozen=True)
class Workspace:
    """The files around one cluster.yaml; none of them needs to exist."""

    cluster_file: Path

    @classmethod
    def find(cls, environ: Mapping[str, str] | None = None) -> Workspace:
        """The file that CLUSTERMESOS_FILE names, else cluster.yaml in the current folder."""
        environ = os.environ if environ is None else environ
        return cls(Path(environ.get(FILE_VARIABLE) or DEFAULT_FILE))

    @property
    def folder(self) -> Path:
        """The folder of cluster.yaml, absolute."""
        return self.cluster_file.resolve().parent

    @property
    def contracts_folder(self) -> Path:
        """Beside cluster.yaml, as problems call it; committed."""
        return self.cluster_file.parent / "contracts"

    @property
    def lock_file(self) -> Path:
        """Committed beside cluster.yaml."""
        return self.folder / "cluster.lock.json"

    @property
    def private(self) -> Path:
        """Secrets, state and outputs: mode 0700, ignored by git."""
        return self.folder / ".clustermesos"

    @property
    def secrets_file(self) -> Path:
        """Mode 0600."""
        return self.private / "secrets.json"

    @property
    def state_folder(self) -> Path:
        """Terraform's local state, which holds secrets."""
        return self.private / "state"

    def state_file(self, stack: str) -> Path:
        """The local state of one stack; Terraform writes it at the first deploy."""
        return self.state_folder / f"{stack}.tfstate"

    @property
    def outputs_folder(self) -> Path:
        """One JSON file per site: what was deployed."""
        return self.private / "outputs"

    def make_private(self) -> Path:
        """`private`, made 0700 with a .gitignore of its own, so that no `git add .` ever takes it.

        SecretsError where the folder of cluster.yaml can't be written.
        """
        try:
            self._make_private()
        except OSError as error:
            raise SecretsError(f"{self.private}: can't be made: {error.strerror}") from None
        return self.private

    def _make_private(self) -> None:
        self.private.mkdir(mode=0o700, exist_ok=True)
        self.private.chmod(0o700)
        ignore = self.private / ".gitignore"
        if not ignore.exists():
            ignore.write_text("*\n", encoding="utf-8")
        self.state_folder.mkdir(mode=0o700, exist_ok=True)
        self.outputs_folder.mkdir(mode=0o700, exist_ok=True)
