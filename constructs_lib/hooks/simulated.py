"""Where a simulator answers, from the file that `clustermesos simulate --endpoints FILE` writes.

{"simulator": true, "instances": {"marathon": ["127.0.0.1:8080"], "mesos": [...], "consul/eu": [...]}}
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

from constructs_lib.errors import HookError
from constructs_lib.hooks.endpoints import Endpoints, Instance

VARIABLE: Final = "CLUSTERMESOS_SIMULATOR"
"""Names the file where the command line doesn't, as in a deploy."""


def read_endpoints(file: Path) -> Endpoints:
    """The simulator's instances; HookError where the file is none."""
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
        if found.get("simulator") is not True:
            raise HookError(f'{file}: "simulator" is not true, so this is not the file of a simulator')
        instances = {
            str(program): tuple(
                _instance(str(program), number, str(where)) for number, where in enumerate(all, 1)
            )
            for program, all in found["instances"].items()
        }
    except OSError as error:
        raise HookError(
            f"{file}: can't be read ({error.strerror}); clustermesos simulate --endpoints {file} writes it"
        ) from None
    except (ValueError, LookupError, AttributeError) as error:
        raise HookError(f"{file}: is not what clustermesos simulate writes: {error}") from None
    return Endpoints(instances=instances, simulator=True)


def _instance(program: str, number: int, where: str) -> Instance:
    address, _, port = where.rpartition(":")
    site = program.partition("/")[2] or "simulator"
    return Instance(node=f"simulator-{number}", site=site, address=address, port=int(port))
