"""Where on a machine the values of secrets can be read by others than their owner."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager

from constructs_lib.lab.keeper import KeptLab, lab_folder
from constructs_lib.plan.model import SitePlan
from constructs_lib.spec.workspace import Workspace
from tests.lab.asking import LONG, says

PUBLIC = "authority_certificate"
"""The one kind that is no secret."""
VALUES = "/run/drill-values"
FIND = """
find /etc /home /opt /root /run /srv /tmp /usr/local /var -xdev -type d ! -perm /{who}+x -prune -o \\
  -type f -perm /{who}+r ! -path '/var/lib/docker/*' -print0 | xargs -0 -r grep -l -F -f {values} -- \\
  || [ $? = 123 ]
"""
"""Files with a secret in them that somebody may read, below directories open to them; grep fails in most."""
LOGGED = f"journalctl --no-pager --all | grep -c -F -f {VALUES} || true"
WORDS = f"cat /proc/[0-9]*/cmdline 2>/dev/null | tr '\\0' '\\n' | grep -c -F -f {VALUES} || true"
USER_DATA = f"grep -r -l -F -f {VALUES} /var/lib/cloud /var/log /run/cloud-init || [ $? = 1 ]"


def values_of(workspace: Workspace) -> Mapping[str, str]:
    """Name → value of every secret of the lab."""
    found: dict[str, str] = json.loads((lab_folder(workspace) / "secrets.json").read_text())["secrets"]
    return found


def lines_of(values: Mapping[str, str], planned: SitePlan) -> list[str]:
    """What is searched for: nothing that is public anyway."""
    kinds = {secret.name: secret.declared.kind for secret in planned.secrets}
    return [line for name, value in values.items() if kinds.get(name) != PUBLIC for line in telling(value)]


def telling(value: str) -> list[str]:
    """Lines by which a value is found again: of a PEM text what only its private key has."""
    private = re.sub(r"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", "", value, flags=re.DOTALL)
    return [line for line in private.splitlines() if len(line) >= 16 and not line.startswith("-----")]


@contextmanager
def search(lab: KeptLab, name: str, lines: Iterable[str]) -> Iterator[None]:
    """Have the values on the machine for the commands of this file: in memory, 0600, on no command line."""
    put = f"umask 077 && cat >{VALUES}"
    assert lab.run(name, "sh", "-c", put, stdin="\n".join(lines) + "\n").code == 0
    try:
        yield
    finally:
        lab.run(name, "rm", "-f", VALUES)


def files_with_one(lab: KeptLab, name: str, who: str) -> list[str]:
    """Files with a value in them that `who` (`go`: group and others, `u`: the owner) may read."""
    return says(lab, name, "sh", "-c", FIND.format(who=who, values=VALUES), timeout=LONG).splitlines()


def told_elsewhere(lab: KeptLab, name: str) -> list[str]:
    """Where else values are told: files open to others, journal, command lines, user data and its logs."""
    found = files_with_one(lab, name, "go")
    found += ["the journal"] if says(lab, name, "sh", "-c", LOGGED) != "0" else []
    found += ["a command line"] if says(lab, name, "sh", "-c", WORDS) != "0" else []
    return found + says(lab, name, "sh", "-c", USER_DATA).splitlines()
