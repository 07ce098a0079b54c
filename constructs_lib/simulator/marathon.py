"""The double of Marathon: its flags, its election below the zk path, and Mesos."""

from __future__ import annotations

import re
import socket
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from constructs_lib.simulator.double import MARATHON_VERSION, Log, RefusedError, Stop, notice, run_program
from constructs_lib.simulator.election import CREATOR_ONLY, OPEN
from constructs_lib.simulator.flags import Given, scallop, table
from constructs_lib.simulator.framework import Framework, Layout, secret_in
from constructs_lib.simulator.leading_master import LeadingMaster
from constructs_lib.simulator.marathon_api import MarathonApi
from constructs_lib.simulator.web import Web, login_guard
from constructs_lib.simulator.zk_url import ZkUrl, parse_zk_url

# Exit codes of mesosphere.marathon.core.base.CrashStrategy.
ZOOKEEPER_CONNECTION_FAILURE = 100
ZOOKEEPER_CONNECTION_LOSS = 101
LEADERSHIP_LOSS = 103
MESOS_SCHEDULER_ERROR = 106
UNCAUGHT_EXCEPTION = 107
BINDING_ERROR = 111
INVALID_COMMAND_LINE_FLAG = 112

_FEATURES = {"vips", "task_killing", "external_volumes", "secrets", "gpu_resources", "maintenance_mode"}
_USER_AND_PASSWORD = re.compile(r"[^:]+:.+", re.DOTALL)


@dataclass(frozen=True)
class Settings:
    """Marathon's flags, checked."""

    flags: Given
    zk: ZkUrl
    master: LeadingMaster
    hostname: str
    host: str
    port: int


def read_settings(arguments: Sequence[str], environ: Mapping[str, str], log: Log) -> Settings:
    """The settings of `marathon ARGUMENTS` with its `MARATHON_*` variables.

    Raises:
        RefusedError: exit code 112, what Marathon would end with.
    """
    flags = scallop(table("marathon"), arguments, environ, "MARATHON_")
    if "master" not in flags:
        raise _bad("Required option 'master' not found")
    try:
        master = LeadingMaster(flags["master"], log)
        zk = parse_zk_url(flags.get("zk", "zk://localhost:2181/marathon"))
    except ValueError as error:
        raise _bad(f"Bad arguments for option 'zk' or 'master': {error}") from None
    _check(flags)
    return Settings(
        flags=flags,
        zk=zk,
        master=master,
        hostname=flags.get("hostname", socket.gethostname()),
        host=flags.get("http_address", "0.0.0.0"),  # noqa: S104 — Marathon's default
        port=flags.get("http_port", 8080),
    )


def _check(flags: Given) -> None:
    if flags.get("mesos_authentication") and "mesos_authentication_principal" not in flags:
        raise _bad("Option 'mesos_authentication' depends on 'mesos_authentication_principal'")
    if {"mesos_authentication_secret", "mesos_authentication_secret_file"} <= flags.keys():
        raise _bad("There should be only one of 'mesos_authentication_secret' and '…_secret_file'")
    if flags.get("leader_election_backend", "curator") != "curator":
        raise _bad("Validation failure for 'leader_election_backend' option: expected curator")
    unknown = set(filter(None, flags.get("enable_features", "").split(","))) - _FEATURES
    if unknown:
        known = ", ".join(sorted(_FEATURES))
        raise _bad(f"Unknown features specified: {', '.join(sorted(unknown))}; available: {known}")
    credentials = flags.get("http_credentials")
    if credentials is not None and not _USER_AND_PASSWORD.fullmatch(credentials):
        raise _bad("Bad arguments for option 'http_credentials': expected user:password")
    low, high = flags.get("local_port_min", 10000), flags.get("local_port_max", 20000)
    if low > high:
        raise _bad(f"local_port_min {low} is above local_port_max {high}")


def _bad(text: str) -> RefusedError:
    return RefusedError(f"Invalid command line flag: {text}", INVALID_COMMAND_LINE_FLAG)


def run(arguments: Sequence[str], environ: Mapping[str, str], log: Log, stop: Stop) -> None:
    """Be a Marathon until `stop`."""
    settings = read_settings(arguments, environ, log)
    flags, url = settings.flags, settings.zk
    layout = Layout(
        url=url,
        latch=url.below("leader-curator"),
        state=url.below("state"),
        acl=CREATOR_ONLY if url.user is not None else OPEN,
    )
    framework = Framework(
        f"{settings.hostname}:{settings.port}", layout, settings.master, _info(settings), log, stop
    )
    api = MarathonApi(framework, flags, str(url))
    guard = login_guard(flags.get("http_credentials"), flags.get("http_realm", "Mesosphere"))
    web = Web(
        "marathon",
        settings.host,
        settings.port,
        lambda asked: guard(asked) or api.answer(asked),
        log,
        BINDING_ERROR,
    )
    web.start()

    def defeated() -> None:
        framework.refuse(RefusedError("Lost leadership; crashing", LEADERSHIP_LOSS))

    def said_no(status: int, text: str) -> None:
        framework.refuse(RefusedError(f"Error: Master {text}; committing suicide", MESOS_SCHEDULER_ERROR))

    def lost() -> None:
        framework.refuse(RefusedError("ZooKeeper connection lost", ZOOKEEPER_CONNECTION_LOSS))

    framework.start(lambda: _secret(flags), defeated, said_no)
    try:
        _connect(framework, flags, stop)
        framework.session.on_lost(lost)
        log("All services up and running.")
        stop.wait()
    finally:
        framework.close()
        web.stop()
    if framework.refusal is not None:
        raise framework.refusal


def _connect(framework: Framework, flags: Given, stop: Stop) -> None:
    end = time.monotonic() + flags.get("zk_connection_timeout", 10000) / 1000
    while not framework.session.connected and not stop.wait(0.1):
        if time.monotonic() > end:
            raise RefusedError(
                f"Failed to connect to ZooKeeper at {framework.session.url}. Crashing",
                ZOOKEEPER_CONNECTION_FAILURE,
            )


def _secret(flags: Given) -> str | None:
    if not flags.get("mesos_authentication"):
        return None
    inline: str | None = flags.get("mesos_authentication_secret")
    return inline or secret_in(flags.get("mesos_authentication_secret_file"), UNCAUGHT_EXCEPTION)


def _info(settings: Settings) -> dict[str, Any]:
    flags = settings.flags
    return {
        "name": flags.get("framework_name", "marathon"),
        "principal": flags.get("mesos_authentication_principal"),
        "role": flags.get("mesos_role", "*"),
        "user": flags.get("mesos_user", "root"),
        "hostname": settings.hostname,
        "webui_url": flags.get("webui_url", f"http://{settings.hostname}:{settings.port}"),
        "failover_timeout": flags.get("failover_timeout", 604800),
    }


def main() -> int:
    """The program `marathon`."""
    if "--version" in sys.argv[1:]:
        print(f"{MARATHON_VERSION}\n{notice('marathon')}")
        return 0
    return run_program("marathon", run)
