"""The double of mesos-agent: its resources and their checkpoint, its registration, and its endpoints."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from constructs_lib.simulator.checkpoint import Checkpoint
from constructs_lib.simulator.credentials import read_credential
from constructs_lib.simulator.docker_pull import PullError, pull
from constructs_lib.simulator.double import MESOS_VERSION, Log, RefusedError, Stop, notice, run_program
from constructs_lib.simulator.flags import Given, stout, table
from constructs_lib.simulator.leading_master import LeadingMaster, Registration
from constructs_lib.simulator.mesos_process import (
    HttpLogins,
    Place,
    check_domain,
    http_logins,
    make_folder,
    place,
    shown,
    started_with,
    version,
    version_line,
)
from constructs_lib.simulator.operator_api import resources_text
from constructs_lib.simulator.resources import parse_attributes, parse_resources, with_defaults
from constructs_lib.simulator.web import Answer, Question, Web, may, unauthorized

_CONTAINERIZERS = {"docker", "mesos"}


@dataclass(frozen=True)
class Settings:
    """An agent's flags, checked; `info` is what it registers with."""

    flags: Given
    place: Place
    master: LeadingMaster
    logins: HttpLogins
    credential: tuple[str, str] | None
    info: dict[str, Any]


def read_settings(arguments: Sequence[str], environ: Mapping[str, str], log: Log) -> Settings:
    """The settings of `mesos-agent ARGUMENTS`, with everything that the real one reads at its start.

    Raises:
        RefusedError: what the real one would end with.
    """
    flags = stout(table("mesos-agent"), arguments, environ)
    if "work_dir" not in flags:
        raise RefusedError("Flag 'work_dir' is required, but it was not provided")
    if "log_dir" in flags:
        log.into(make_folder(flags["log_dir"], "logging directory"))
    if "master" not in flags:
        raise RefusedError("Missing required option `--master` or `--master_detector`")
    where = place(flags, environ, 5051)
    _check(flags)
    make_folder(flags["work_dir"], "agent work directory")
    try:
        master = LeadingMaster(flags["master"], log, flags.get("zk_session_timeout", 10.0))
    except ValueError as error:
        raise RefusedError(f"Failed to create a master detector: {error}") from None
    credential = read_credential(flags["credential"], log) if "credential" in flags else None
    info = {
        "hostname": where.hostname,
        "port": where.advertised_port,
        "pid": f"slave(1)@{where.ip}:{where.advertised_port}",
        "domain": flags.get("domain"),
        "principal": credential[0] if credential else None,
        **_offered(flags),
    }
    logins = http_logins(flags, "http_credentials", "mesos-agent-readwrite", log)
    log(started_with(flags))
    return Settings(flags, where, master, logins, credential, info)


def _offered(flags: Given) -> dict[str, Any]:
    try:
        resources = parse_resources(flags.get("resources", ""))
    except (ValueError, KeyError, TypeError) as error:
        raise RefusedError(f"Failed to determine agent resources: {error}") from None
    try:
        attributes = parse_attributes(flags.get("attributes", ""))
    except ValueError as error:
        raise RefusedError(f"Failed to parse attributes: {error}") from None
    return {"resources": with_defaults(resources, flags["work_dir"]), "attributes": attributes}


def _check(flags: Given) -> None:
    for name in ("modules", "modules_dir", "hooks", "master_detector"):
        if name in flags:
            raise RefusedError(f"Error loading modules: this double has none (--{name})")
    if not 0 <= flags.get("gc_disk_headroom", 0.1) <= 1:
        raise RefusedError(
            f"Invalid value '{flags['gc_disk_headroom']}' for --gc_disk_headroom. Must be between 0.0 and 1.0"
        )
    _one_of(flags, "reconfiguration_policy", "equal", ("equal", "additive"))
    _one_of(flags, "recover", "reconnect", ("reconnect", "cleanup"))
    _one_of(flags, "launcher", "linux", ("linux", "posix"))
    if flags.get("systemd_enable_support", True):
        raise RefusedError(
            "Failed to initialize systemd: Failed to locate systemd cgroups hierarchy: with cgroup v2 "
            "--systemd_enable_support has to be false (this double refuses it everywhere)"
        )
    if flags.get("cgroups_limit_swap"):
        raise RefusedError(
            "Failed to create containerizer: --cgroups_limit_swap is not supported with cgroup v2"
        )
    providers = flags.get("image_providers", "")
    isolation = set(flags.get("isolation", "posix/cpu,posix/mem").split(","))
    if providers and not {"filesystem/linux", "docker/runtime"} <= isolation:
        raise RefusedError("--image_providers needs the isolators 'filesystem/linux' and 'docker/runtime'")
    _check_containerizers(flags)
    check_domain(flags.get("domain"))


def _one_of(flags: Given, name: str, default: str, allowed: tuple[str, ...]) -> None:
    if flags.get(name, default) not in allowed:
        raise RefusedError(
            f"Unknown value for --{name}: '{flags[name]}', expected one of {', '.join(allowed)}"
        )


def _check_containerizers(flags: Given) -> None:
    names = flags.get("containerizers", "mesos").split(",")
    for name in names:
        if name not in _CONTAINERIZERS:
            raise RefusedError(
                f"Failed to create a containerizer: Unknown or unsupported containerizer: {name}"
            )
    if "docker" not in names:
        return
    try:
        done = subprocess.run(
            [flags.get("docker", "docker"), "--version"], capture_output=True, check=False, timeout=60
        )
        fine = done.returncode == 0
    except (OSError, subprocess.SubprocessError):
        fine = False
    if not fine:
        raise RefusedError("Failed to create docker: Failed to execute 'docker --version'")


class AgentApi:
    """The endpoints of one agent."""

    def __init__(self, settings: Settings, registration: Registration, environ: Mapping[str, str]) -> None:
        self._settings = settings
        self._environ = environ
        self._registration = registration
        self._started = time.time()
        self._open: dict[str, Callable[[Question], Answer]] = {
            "/health": lambda _: Answer(200, ""),
            "/version": lambda _: Answer(200, version("mesos-agent")),
            "/double/pull": self._pull,
        }
        self._guarded: dict[str, Callable[[], Any]] = {
            "/state": self._state,
            "/flags": lambda: {"flags": shown(settings.flags)},
            "/containers": list,
            "/monitor/statistics": list,
            "/metrics/snapshot": self._metrics,
        }

    def answer(self, question: Question) -> Answer:
        """The answer of the real path, or of the doubles' own below `/double/`."""
        path = question.path.removeprefix("/slave(1)")
        if path in self._open:
            return self._open[path](question)
        logins = self._settings.logins
        if path == "/api/v1":
            if logins.read_write and not may(question, logins.known):
                return unauthorized("mesos-agent-readwrite")
            return Answer(501, "this double has no agent operator API")
        if path not in self._guarded:
            return Answer(404)
        if logins.read_only and not may(question, logins.known):
            return unauthorized("mesos-agent-readonly")
        return Answer(200, self._guarded[path]())

    def _pull(self, question: Question) -> Answer:
        try:
            pull(question.json()["image"], self._settings.flags, self._environ)
        except PullError as error:
            return Answer(502, str(error))
        return Answer(200)

    def _state(self) -> dict[str, Any]:
        info = self._settings.info
        return {
            "double": notice("mesos-agent"),
            "version": MESOS_VERSION,
            "id": self._registration.id or "",
            "pid": info["pid"],
            "hostname": info["hostname"],
            "master_hostname": (self._settings.master.base or "").removeprefix("http://").partition(":")[0],
            "resources": resources_text(info["resources"]),
            "attributes": info["attributes"],
            "domain": info["domain"],
            "flags": shown(self._settings.flags),
            "frameworks": [],
            "completed_frameworks": [],
        }

    def _metrics(self) -> dict[str, float]:
        return {
            "slave/registered": float(self._registration.registered),
            "slave/uptime_secs": time.time() - self._started,
            "slave/tasks_running": 0.0,
            "slave/recovery_errors": 0.0,
        }


def run(arguments: Sequence[str], environ: Mapping[str, str], log: Log, stop: Stop) -> None:
    """Be a mesos-agent until `stop`."""
    settings = read_settings(arguments, environ, log)
    checkpoint = Checkpoint(Path(settings.flags["work_dir"]), log)
    id = checkpoint.recover(settings.info, settings.flags.get("reconfiguration_policy", "equal"))
    secret = settings.credential[1] if settings.credential else None
    registration = Registration(settings.master, "/double/agent", settings.info, secret, log, id)
    api = AgentApi(settings, registration, environ)
    web = Web("mesos-agent", settings.place.bind, settings.place.port, api.answer, log)
    refusals: list[RefusedError] = []

    def refused(refusal: RefusedError) -> None:
        refusals.append(refusal)
        stop.now(refusal.code)

    def said_no(status: int, text: str) -> None:
        if status == 401:
            refused(RefusedError(f"Master {settings.master.base} refused authentication"))
        elif status == 410:
            refused(RefusedError(f"Agent asked to shut down by the master because '{text}'"))
        else:
            log(f"Master {settings.master.base} refused registration: {text}", "W")

    web.start()
    offered = json.dumps(settings.info["resources"])
    log(f"Agent started on {settings.place.ip}:{settings.place.port} with {offered}")
    settings.master.watch(stop, refused)

    def keep(given: str) -> None:
        checkpoint.save(given, settings.info)

    threading.Thread(target=registration.run, args=(stop, keep, said_no), daemon=True).start()
    try:
        stop.wait()
    finally:
        settings.master.close()
        web.stop()
    if refusals:
        raise refusals[0]


def main() -> int:
    """The program `mesos-agent`."""
    if any(word in ("--version", "--version=true") for word in sys.argv[1:]):
        print(version_line("mesos-agent"))
        return 0
    return run_program("mesos-agent", run)
