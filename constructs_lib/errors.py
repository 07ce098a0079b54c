"""Every error that this library raises on purpose.

    ClusterMesosError
    ├── SpecError (ValueError)        cluster.yaml or a settings object is wrong: exit 2
    │   └── SpecFileError             the file itself cannot be read as a spec; carries every problem found
    ├── LockError (ValueError)        cluster.lock.json does not fit cluster.yaml: exit 2
    ├── SecretsError (ValueError)     a named secret is not to be had, or its store is not safe: exit 2
    ├── RenderError (ValueError)      a node file cannot be rendered or does not fit into user data: exit 2
    │   └── UserDataError             user data over the limit: names what of cluster.yaml to shorten
    ├── ResourceError (TypeError)     an attribute that the provider's schema does not know: exit 2
    ├── RollError                     a roll was refused or stopped half-way, with what to do: exit 1
    ├── ContractError (ValueError)    a contract is wrong, or can't be kept by this cluster: exit 2
    ├── UnknownNameError (ValueError) a name on the command line that nothing has: exit 2
    ├── HookError                     the platform did not do what was asked, or not in time: exit 1
    ├── ScanError                     the policy scan could not run: exit 1
    ├── LabError                      a lab can't run on this machine, or one of its steps failed: exit 1
    └── ToolError                     terraform, ssh, checkov … is missing or failed: exit 1

`ClusterMesosError.exit_code` is what the command line returns.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass


class ClusterMesosError(Exception):
    """Base of every error raised on purpose; its text is meant for the user and needs no traceback."""

    exit_code = 1


class SpecError(ClusterMesosError, ValueError):
    """One setting is wrong: `path` names it, `got` is its value, `expected` what is allowed."""

    exit_code = 2

    def __init__(self, path: str, got: object, expected: str) -> None:
        super().__init__(f"{path}: got {got!r}, expected {expected}")
        self.path = path
        self.got = got
        self.expected = expected


@dataclass(frozen=True, kw_only=True)
class Problem:
    """One thing wrong in a file; `line` counts from 1, and 0 means the file as a whole."""

    file: str
    line: int
    path: str
    message: str

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}" if self.line else self.file
        return f"{where}: {self.path}: {self.message}" if self.path else f"{where}: {self.message}"


class SpecFileError(SpecError):
    """A cluster.yaml that is not a valid spec; `problems` holds all of them, ordered by line."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        ClusterMesosError.__init__(self, "\n".join(str(problem) for problem in problems))
        self.problems = tuple(problems)


class LockError(ClusterMesosError, ValueError):
    """cluster.lock.json does not fit cluster.yaml; the text says what to do."""

    exit_code = 2


class SecretsError(ClusterMesosError, ValueError):
    """A secret is missing where it must not be made anew, or its store is readable by others."""

    exit_code = 2


class RenderError(ClusterMesosError, ValueError):
    """A template lacks a value, a file is declared twice, or user data is over the platform's limit."""

    exit_code = 2


class UserDataError(RenderError):
    """A node's user data is over the platform's limit.

    `over` is by how many bytes; `setting` the path in cluster.yaml of what is to be shortened, empty where
    nothing there is.
    """

    def __init__(self, message: str, *, over: int, setting: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.over = over
        self.setting = setting


class ResourceError(ClusterMesosError, TypeError):
    """A name or type that the real provider's schema does not know."""

    exit_code = 2


class ContractError(ClusterMesosError, ValueError):
    """Contracts that are wrong, or that this cluster can't keep; `problems` holds all, by file and line."""

    exit_code = 2

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = tuple(problems)


class UnknownNameError(ClusterMesosError, ValueError):
    """Nothing is called `got`; the text has all names that there are, and which one may be meant."""

    exit_code = 2

    def __init__(self, what: str, got: str, known: Iterable[str]) -> None:
        from difflib import get_close_matches

        names = list(known)
        near = get_close_matches(got, names, n=1)
        meant = f"; did you mean {near[0]}?" if near else ""
        super().__init__(f"{what}: got {got!r}, expected {_one_of(names)}{meant}")


def _one_of(names: Sequence[str]) -> str:
    return f"one of {', '.join(names)}" if names else "nothing: there is none"


class HookError(ClusterMesosError):
    """A step after the deploy failed or ran out of time; the text says which one, where, and what to do."""


class RollError(ClusterMesosError):
    """A roll was refused before anything changed, or stopped at the first node that did not come back."""


class ScanError(ClusterMesosError):
    """The policy scan could not run, or an exception is declared wrongly."""


class LabError(ClusterMesosError):
    """The lab can't run on this machine, or one of its machines did not do what was asked."""


class SimulatorError(ClusterMesosError):
    """The simulator can't start: its state or faults can't be read, or a port is taken."""


class ToolError(ClusterMesosError):
    """An external program is missing, timed out or failed; the text has the program and its last words."""
