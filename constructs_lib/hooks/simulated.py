"""Where a simulator answers, from the file that `clustermesos simulate --endpoints FILE` writes.

{"simulator": true, "instances": {"marathon": ["127.0.0.1:8080"], "mesos": [...], "consul/eu": [...]}}

`agents` is one address that answers for all agents, whose own addresses no machine has: a path there begins
with the agent's hostname.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from constructs_lib.errors import HookError
from constructs_lib.hooks.endpoints import Endpoints, Instance, Opens, Ways

VARIABLE: Final = "CLUSTERMESOS_SIMULATOR"
"""Names the file where the command line doesn't, as in a deploy."""


def read_endpoints(file: Path) -> Endpoints:
    """The simulator's instances; HookError where the file is none."""
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
        if found.get("simulator") is not True:
            raise HookError(f'{file}: "simulator" is not true, so this is not the file of a simulator')
        return simulators(found["instances"])
    except OSError as error:
        raise HookError(
            f"{file}: can't be read ({error.strerror}); clustermesos simulate --endpoints {file} writes it"
        ) from None
    except (ValueError, LookupError, AttributeError) as error:
        raise HookError(f"{file}: is not what clustermesos simulate writes: {error}") from None


def simulators(found: Mapping[str, Sequence[str]]) -> Endpoints:
    """The endpoints of a simulator by what its file has as `instances`."""
    instances = {
        program: tuple(_instance(program, number, where) for number, where in enumerate(all, 1))
        for program, all in found.items()
    }
    agents = instances.pop("agents", ())
    return Endpoints(instances=instances, simulator=True, opens=_for_all(agents[0]) if agents else None)


def _for_all(answers: Instance) -> Opens:
    @contextmanager
    def opens(agents: Sequence[Instance]) -> Iterator[Ways]:
        yield Ways(bases={one.where: f"http://{answers.where}/{one.address}" for one in agents})

    return opens


def _instance(program: str, number: int, where: str) -> Instance:
    address, _, port = where.rpartition(":")
    site = program.partition("/")[2] or "simulator"
    return Instance(node=f"simulator-{number}", site=site, address=address, port=int(port))
