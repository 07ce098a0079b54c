"""The real Terraform (or OpenTofu) command, run in the folder of one synthesized stack.

Only what both programs have: init, plan -out, show -json, apply of a plan file, output -json. What may hold
a secret (a plan as JSON, outputs) is returned and never printed; the programs mask it in everything else.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from constructs_lib.errors import ToolError

BINARY_VARIABLE = "TERRAFORM_BINARY_NAME"
"""The same variable that cdktf reads; `tofu` for OpenTofu."""
LAST_WORDS = 40
"""Lines of a failed program that its error repeats."""
LOCK_TIMEOUT = "60s"
"""How long to wait for a state that another run holds, a colleague's for example."""


@dataclass(frozen=True, kw_only=True)
class Terraform:
    """Runs the program in `folder`, which holds the stack's cdk.tf.json.

    `say` gets each line of an apply while it runs. Every method raises ToolError when the program is
    missing or fails, with the command and its last words.
    """

    folder: Path
    say: Callable[[str], None] = field(default=lambda line: None)
    environ: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))

    @property
    def binary(self) -> str:
        """What TERRAFORM_BINARY_NAME says, else terraform."""
        return self.environ.get(BINARY_VARIABLE) or "terraform"

    def init(self) -> None:
        """Prepare the folder; quick when the plugins are there already."""
        self._run("init", "-input=false", "-no-color")

    @property
    def initialized(self) -> bool:
        """Whether init ran here before."""
        return (self.folder / ".terraform").is_dir()

    def plan(self, out: Path, *, replace: Sequence[str] = (), refresh: bool = True) -> dict[str, Any]:
        """Plan into the file `out` and return the plan as `show -json` has it (secrets included).

        `replace` are addresses of resources to make anew whether or not they changed; without `refresh` the
        configuration is compared with the state as it was last written, and the platform is not asked.
        """
        wanted = [f"-replace={address}" for address in replace] + ([] if refresh else ["-refresh=false"])
        self._run(
            "plan",
            "-input=false",
            "-no-color",
            f"-lock-timeout={LOCK_TIMEOUT}",
            f"-out={out.resolve()}",
            *wanted,
        )
        # Terraform writes it readable for all, and it holds secrets.
        out.chmod(0o600)
        return self._json("show", "-json", str(out.resolve()))

    def apply(self, plan: Path) -> None:
        """Do exactly what the plan file says, or nothing where the state has moved on since."""
        self._run(
            "apply",
            "-input=false",
            "-no-color",
            f"-lock-timeout={LOCK_TIMEOUT}",
            str(plan.resolve()),
            say=self.say,
        )

    def outputs(self) -> dict[str, Any]:
        """Output name → value; empty before the first deploy."""
        return {name: output["value"] for name, output in self._json("output", "-json", "-no-color").items()}

    def _json(self, *arguments: str) -> dict[str, Any]:
        text = self._run(*arguments, keep_all=True)
        try:
            parsed: dict[str, Any] = json.loads(text)
        except ValueError as error:
            raise ToolError(
                f"{self._shown(arguments)}: got {len(text)} characters that are no JSON: {error}"
            ) from None
        return parsed

    def _run(self, *arguments: str, say: Callable[[str], None] | None = None, keep_all: bool = False) -> str:
        """Standard output with `keep_all`; otherwise both streams go to `say`, and their end into the
        error.
        """
        try:
            process = subprocess.Popen(
                [self.binary, *arguments],
                cwd=self.folder,
                env={**self.environ, "TF_IN_AUTOMATION": "1"},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE if keep_all else subprocess.STDOUT,
                text=True,
                errors="replace",
            )
        except FileNotFoundError:
            raise ToolError(self._missing()) from None
        except OSError as error:
            raise ToolError(f"{self._shown(arguments)}: {error}") from None
        out, last = self._read_all(process) if keep_all else self._follow(process, say)
        if process.returncode:
            raise ToolError(f"{self._shown(arguments)} {_how_it_ended(process.returncode)}:\n{last.rstrip()}")
        return out

    def _missing(self) -> str:
        if not self.folder.is_dir():
            return f"{self.folder}: no such folder; synthesize first: clustermesos synth"
        return (
            f"{self.binary}: not found; install Terraform or OpenTofu, or name it in {BINARY_VARIABLE} "
            "(in a clone, `make tools` puts one into .tools/bin)"
        )

    def _shown(self, arguments: Sequence[str]) -> str:
        return f"{self.binary} {arguments[0]} in {self.folder}"

    def _read_all(self, process: subprocess.Popen[str]) -> tuple[str, str]:
        out, err = process.communicate()
        return out, "\n".join(err.splitlines()[-LAST_WORDS:])

    def _follow(self, process: subprocess.Popen[str], say: Callable[[str], None] | None) -> tuple[str, str]:
        last: deque[str] = deque(maxlen=LAST_WORDS)
        try:
            _pass_on(process, last, say)
        except KeyboardInterrupt:
            # The terminal sent it to Terraform too, which now finishes what it began and writes its state:
            # leaving before it has would lose track of machines. A second Ctrl-C ends both.
            _pass_on(process, last, say)
            raise
        return "", "\n".join(last)


def _pass_on(process: subprocess.Popen[str], last: deque[str], say: Callable[[str], None] | None) -> None:
    assert process.stdout is not None
    for line in process.stdout:
        last.append(line.rstrip("\n"))
        if say is not None:
            say(last[-1])
    process.wait()
    process.stdout.close()


def _how_it_ended(code: int) -> str:
    if code < 0:
        return f"was ended by {signal.Signals(-code).name}"
    return f"failed with exit code {code}"
