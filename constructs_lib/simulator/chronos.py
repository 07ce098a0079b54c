"""The double of Chronos 3: its flags, its election at `<zk_path>/candidate`, and Mesos."""

from __future__ import annotations

import socket
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from constructs_lib.simulator.chronos_api import ChronosApi
from constructs_lib.simulator.double import CHRONOS_VERSION, Log, RefusedError, Stop, notice, run_program
from constructs_lib.simulator.election import OPEN
from constructs_lib.simulator.flags import Given, scallop, table
from constructs_lib.simulator.framework import Framework, Layout, secret_in
from constructs_lib.simulator.leading_master import LeadingMaster
from constructs_lib.simulator.web import Web, login_guard
from constructs_lib.simulator.zk_url import ZkUrl, parse_zk_url


@dataclass(frozen=True)
class Settings:
    """Chronos' flags, checked."""

    flags: Given
    zk: ZkUrl
    master: LeadingMaster
    hostname: str
    host: str
    port: int


def read_settings(arguments: Sequence[str], environ: Mapping[str, str], log: Log) -> Settings:
    """The settings of `start.sh ARGUMENTS`: the image appends `--http_port $PORT0` itself.

    Like Scallop, a first argument `@FILE` stands for the whole command line.

    Raises:
        RefusedError: what Chronos would end with.
    """
    port = ["--http_port", environ["PORT0"]] if environ.get("PORT0") else []
    flags = scallop(table("chronos"), [*arguments, *port], environ)
    try:
        master = LeadingMaster(flags.get("master", "local"), log)
        zk = _zk(flags)
    except ValueError as error:
        raise RefusedError(f"Bad arguments for option 'master', 'zk_hosts' or 'zk_auth': {error}") from None
    if "http_credentials" in flags and ":" not in flags["http_credentials"]:
        raise RefusedError("Bad arguments for option 'http_credentials': expected user:password")
    return Settings(
        flags=flags,
        zk=zk,
        master=master,
        hostname=flags.get("hostname", socket.gethostname()),
        host=flags.get("http_address", "0.0.0.0"),  # noqa: S104 — Chronos' default
        port=flags.get("http_port", 8080),
    )


def _zk(flags: Given) -> ZkUrl:
    """Servers, path and login, which Chronos gets by three flags."""
    servers = flags.get("zk_hosts", "localhost:2181").removeprefix("zk://").partition("/")[0]
    if not all(len(server.split(":")) == 2 for server in servers.split(",")):
        raise ValueError("zookeeper servers must be provided in the form host1:port2,host2:port2")
    login = f"{flags['zk_auth']}@" if "zk_auth" in flags else ""
    return parse_zk_url(f"zk://{login}{servers}{flags.get('zk_path', '/chronos/state')}")


def run(arguments: Sequence[str], environ: Mapping[str, str], log: Log, stop: Stop) -> None:
    """Be a Chronos until `stop`."""
    settings = read_settings(arguments, environ, log)
    flags, url = settings.flags, settings.zk
    # Curator's default ACL for all that Chronos makes is open, also with a login.
    layout = Layout(url=url, latch=url.below("candidate"), state=url.below("state"), acl=OPEN)
    me = f"{settings.hostname}:{settings.port}"
    framework = Framework(me, layout, settings.master, _info(settings), log, stop)
    api = ChronosApi(framework)
    guard = login_guard(flags.get("http_credentials"), flags.get("http_realm", "Mesosphere"))
    web = Web("chronos", settings.host, settings.port, lambda asked: guard(asked) or api.answer(asked), log)
    web.start()

    def said_no(status: int, text: str) -> None:
        framework.refuse(RefusedError(f"Master {text}"))

    framework.start(lambda: _secret(flags), lambda: log("Defeated. Not the current leader."), said_no)
    try:
        stop.wait()
    finally:
        framework.close()
        web.stop()
    if framework.refusal is not None:
        raise framework.refusal


def _secret(flags: Given) -> str | None:
    if "mesos_authentication_principal" not in flags:
        return None
    return secret_in(flags.get("mesos_authentication_secret_file"), 1)


def _info(settings: Settings) -> dict[str, Any]:
    flags = settings.flags
    name = flags.get("mesos_framework_name", "chronos")
    return {
        "name": f"{name}-{CHRONOS_VERSION}" if "mesos_framework_name" not in flags else name,
        "principal": flags.get("mesos_authentication_principal"),
        "role": flags.get("mesos_role", "*"),
        "user": flags.get("user", "root"),
        "hostname": settings.hostname,
        "webui_url": flags.get("webui_url", f"http://{settings.hostname}:{settings.port}"),
        "failover_timeout": flags.get("failover_timeout", 604800),
    }


def main() -> int:
    """The program `chronos`."""
    if "--version" in sys.argv[1:]:
        print(f"{CHRONOS_VERSION}\n{notice('chronos')}")
        return 0
    return run_program("chronos", run)
