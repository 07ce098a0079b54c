"""Runs the real ``cdktf`` command against the AWS API double and tells its progress resource by resource.

Nothing of the user's own AWS or Terraform settings reaches it: credentials are dummies, the plugin comes from
the mirror under ``.tools``, and no check for new versions goes out. All that it prints is kept in a log.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TextIO

from scripts.environment import VENV
from scripts.progress import ROOT, StepError, state_folder
from scripts.tools import TOOLS

_DUMMY = {
    "AWS_ACCESS_KEY_ID": "demo",
    "AWS_SECRET_ACCESS_KEY": "demo",  # the double checks no credentials
    "AWS_EC2_METADATA_DISABLED": "true",
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
}
_QUIET = {
    "CI": "1",  # cdktf prints lines instead of redrawing the screen
    "CHECKPOINT_DISABLE": "1",
    "DISABLE_VERSION_CHECK": "1",
    "TF_IN_AUTOMATION": "1",
    "TF_INPUT": "0",
}
_NODE_OPTIONS = "--max-old-space-size=4096 --no-deprecation"
"""The first is cdktf's own default, lost where the variable is set; cdktf itself uses what is deprecated."""
_KEPT_TERRAFORM_SETTINGS = ("TF_LOG", "TF_LOG_PATH", "TF_LOG_PROVIDER", "TF_VAR_")

OPTIONS = (
    "--auto-approve",
    "--no-color",
    "--skip-provider-lock",  # would ask the registry for other platforms' checksums
    "--disable-plugin-cache-env",  # the mirror is linked; a cache in the home folder would copy it
)
"""Of deploy and of destroy."""


def environment(base: Mapping[str, str] | None = None) -> dict[str, str]:
    """The variables for Terraform, cdktf and boto3 against the double: ``base`` (default: ours) without the
    user's own AWS and Terraform settings.
    """
    given = os.environ if base is None else base
    shielded = {
        name: value
        for name, value in given.items()
        if not name.startswith("AWS_")
        and not (name.startswith("TF_") and not name.startswith(_KEPT_TERRAFORM_SETTINGS))
    }
    return {
        **shielded,
        **_DUMMY,
        **_QUIET,
        "PATH": os.pathsep.join([str(TOOLS / "bin"), str(VENV / "bin"), given.get("PATH", os.defpath)]),
        "NODE_OPTIONS": f"{_NODE_OPTIONS} {given.get('NODE_OPTIONS', '')}".strip(),
        "JSII_NODE": str(TOOLS / "bin" / "node"),
        "TF_CLI_CONFIG_FILE": str(TOOLS / "terraform.rc"),
    }


def run(action: str, *, verbose: bool = False) -> None:
    """``cdktf ACTION --auto-approve`` for all stacks of the project, ``ACTION`` being deploy or destroy.

    Args:
        action: deploy or destroy.
        verbose: print all that cdktf prints instead of one line per resource.

    Raises:
        StepError: it failed; what Terraform said was printed before.
    """
    log = state_folder() / "logs" / f"cdktf-{action}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("w", encoding="utf-8") as kept:
        log.chmod(0o600)
        child = subprocess.Popen(
            [TOOLS / "bin" / "cdktf", action, "*", *OPTIONS],
            cwd=ROOT,
            env=environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            errors="replace",
            # cdktf drops its Terraform at a Ctrl-C, and with it what was just being created: keep it from it.
            start_new_session=True,
        )
        code = _follow_to_the_end(child, Progress(verbose=verbose), kept)
    if code != 0:
        raise StepError(f"cdktf {action} ended with {code} (whole output: {log})")


def _follow_to_the_end(child: subprocess.Popen[str], progress: Progress, kept: TextIO) -> int:
    """The exit code. A Ctrl-C goes to Terraform, which stops gracefully and saves its state; the second one
    makes it stop at once, the third ends everything.

    Raises:
        KeyboardInterrupt: after all that, when there was one.
    """
    assert child.stdout is not None
    interrupts = 0
    while True:
        try:
            progress.follow(child.stdout, kept)
            code = child.wait()
            break
        except KeyboardInterrupt:
            interrupts += 1
            if interrupts > 2:
                os.killpg(child.pid, signal.SIGKILL)
                raise
            print("    stopping; Terraform ends what it is doing and saves its state", flush=True)
            for process in terraforms_below(child.pid):
                os.kill(process, signal.SIGINT)
    if interrupts:
        raise KeyboardInterrupt
    return code


def terraforms_below(ancestor: int) -> list[int]:
    """The process ids of the Terraforms that ``ancestor`` and its descendants started."""
    parents: dict[int, int] = {}
    found = []
    for process in (int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()):
        try:
            stat = Path(f"/proc/{process}/stat").read_text()
            command = Path(f"/proc/{process}/cmdline").read_bytes()
        except OSError:
            continue  # it has ended meanwhile
        parents[process] = int(stat.rpartition(")")[2].split()[1])
        if b"terraform_main.py" in command:
            found.append(process)
    return [process for process in found if _is_below(process, ancestor, parents)]


def _is_below(process: int, ancestor: int, parents: Mapping[int, int]) -> bool:
    while process in parents:
        process = parents[process]
        if process == ancestor:
            return True
    return False


_PLAN = re.compile(r"Plan: (?:\d+ to import, )?(\d+) to add, (\d+) to change, (\d+) to destroy")
_ADDRESS = r"(\S+\.\S+?)(?: \(\S+\))?(\[\S+\])?"
"""cdktf writes ``aws_instance.demo_masters (demo/masters)["master-1"]``: the path repeats the name."""
_DONE = re.compile(_ADDRESS + r": (Creation|Modifications|Destruction) complete after (\S+)")
_STILL = re.compile(
    _ADDRESS + r": Still (creating|modifying|destroying)\.\.\. \[.*?(\d+m\d+s|\d+s) elapsed\]"
)
_SUMMARY = re.compile(r"(?:Apply|Destroy) complete! .*|No changes\. .*")
_ERROR = re.compile(r"\bError: |^ERROR: |Error occurred")
_APP_SAYS = re.compile(r"\[ERROR\] default - (.+)")
"""What the app wrote to stderr, be it a note or the reason why it failed; a failure is repeated later."""
_VERBS = {"Creation": "created", "Modifications": "changed", "Destruction": "destroyed"}


_HOOKS_SAY = re.compile(r"\(local-exec\): (?!Executing:)(.*)")
"""What `clustermesos apply` says as a part of the last stack."""


@dataclass
class Progress:
    """Turns Terraform's lines into ``[ 12/64] aws_vpc.x created (10s)`` lines.

    Attributes:
        verbose: print every line as it is.
        total: how many resources the plans announced so far.
        done: how many of them are finished.
    """

    verbose: bool = False
    out: TextIO = field(default_factory=lambda: sys.stdout)
    total: int = 0
    done: int = 0
    _failing: bool = False
    _last: float = field(default_factory=time.monotonic)

    def follow(self, lines: Iterable[str], kept: TextIO) -> None:
        """Read until the end; every line goes to ``kept``, what a person needs is printed."""
        for line in lines:
            kept.write(line)
            kept.flush()
            shown = line.rstrip("\n") if self.verbose else self.line(line.rstrip())
            if shown is not None:
                self._last = time.monotonic()
                print(shown if self.verbose else f"    {shown}", file=self.out, flush=True)

    def line(self, text: str) -> str | None:
        """What to print for one line, without indent, or None."""
        # From the first error on, everything is printed: the cause may stand in any of the following lines.
        self._failing = self._failing or _ERROR.search(text) is not None
        if found := _APP_SAYS.search(text) or _HOOKS_SAY.search(text):
            return found[1]
        if found := _PLAN.search(text):
            self.total += sum(int(number) for number in found.groups())
            return found.group()
        if found := _DONE.search(text):
            self.done += 1
            width = len(str(self.total))
            return f"[{self.done:>{width}}/{self.total}] {_address(found)} {_VERBS[found[3]]} ({found[4]})"
        if found := _STILL.search(text):
            quiet = time.monotonic() - self._last
            return f"… still {found[3]} {_address(found)} ({found[4]})" if quiet > 10 else None
        if found := _SUMMARY.search(text):
            return found.group()
        return text if self._failing and text.strip() else None


def _address(found: re.Match[str]) -> str:
    return found[1] + (found[2] or "")
