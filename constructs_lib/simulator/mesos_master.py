"""The double of mesos-master: election, registry by quorum, and the endpoints that the platform asks."""

from __future__ import annotations

import json
import sys
import threading
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from constructs_lib.simulator.agents import Members
from constructs_lib.simulator.credentials import Acls, read_credentials
from constructs_lib.simulator.double import MESOS_VERSION, Log, RefusedError, Stop, run_program
from constructs_lib.simulator.election import EVERYONE_READS, OPEN, Election, Group, Session
from constructs_lib.simulator.flags import Given, stout, table
from constructs_lib.simulator.master_api import MasterApi
from constructs_lib.simulator.mesos_process import (
    HttpLogins,
    Place,
    check_domain,
    http_logins,
    make_folder,
    place,
    version_line,
)
from constructs_lib.simulator.replicated_log import LogReplicas, Replica
from constructs_lib.simulator.web import Web
from constructs_lib.simulator.zk_url import ZkUrl, parse_zk_url

_LEAST_REREGISTER_TIMEOUT = 600.0
_RECOVERY_LOOKS = 0.25


@dataclass(frozen=True)
class Settings:
    """A master's flags, checked."""

    flags: Given
    place: Place
    zk: ZkUrl | None
    quorum: int
    log_folder: Path | None
    """Where the registry's log lies; None without one."""
    logins: HttpLogins
    principals: Mapping[str, str]
    acls: Acls


def read_settings(arguments: Sequence[str], environ: Mapping[str, str], log: Log) -> Settings:
    """The settings of `mesos-master ARGUMENTS`, with everything that the real one reads at its start.

    Raises:
        RefusedError: what the real one would end with.
    """
    flags = stout(table("mesos-master"), arguments, environ)
    if "log_dir" in flags:
        log.into(make_folder(flags["log_dir"], "logging directory"))
    where = place(flags, environ, 5050)
    _check(flags)
    zk = _zk(flags)
    log_folder = None
    registry = flags.get("registry", "replicated_log")
    if registry not in ("replicated_log", "in_memory"):
        raise RefusedError(f"'{registry}' is not a supported option for registry persistence")
    if registry == "replicated_log":
        if "work_dir" not in flags:
            raise RefusedError("--work_dir needed for replicated log based registry")
        if zk is not None and "quorum" not in flags:
            raise RefusedError(
                "Need to specify --quorum for replicated log based registry when using ZooKeeper"
            )
        make_folder(flags["work_dir"], "work directory")
        log_folder = make_folder(f"{flags['work_dir']}/replicated_log", "replicated log")
    return Settings(
        flags=flags,
        place=where,
        zk=zk,
        log_folder=log_folder,
        quorum=flags.get("quorum", 1) if zk is not None and registry == "replicated_log" else 1,
        logins=http_logins(flags, "credentials", "mesos-master-readwrite", log),
        principals=read_credentials(flags["credentials"], log) if "credentials" in flags else {},
        acls=Acls(flags.get("acls"), log),
    )


def _check(flags: Given) -> None:
    if flags.get("quorum", 1) < 1:
        raise RefusedError(f"--quorum has to be at least 1, got {flags['quorum']}")
    if flags.get("agent_reregister_timeout", _LEAST_REREGISTER_TIMEOUT) < _LEAST_REREGISTER_TIMEOUT:
        raise RefusedError("Invalid value for --agent_reregister_timeout: Must be at least 10mins")
    if flags.get("max_agent_ping_timeouts", 1) < 1:
        raise RefusedError("Invalid value for --max_agent_ping_timeouts: Must be at least 1")
    if flags.get("registry_strict"):
        raise RefusedError("Support for '--registry_strict' has been disabled and will be removed")
    for name in ("modules", "modules_dir", "hooks"):
        if name in flags:
            raise RefusedError(f"Error loading modules: this double has none (--{name})")
    check_domain(flags.get("domain"))


def _zk(flags: Given) -> ZkUrl | None:
    if "zk" not in flags:
        return None
    try:
        return parse_zk_url(flags["zk"])
    except ValueError as error:
        raise RefusedError(f"Error parsing ZooKeeper URL: {error}") from None


@dataclass
class Leadership:
    """Who leads, as this master knows it; the API reads it."""

    leader: dict[str, Any] | None = None
    leading: bool = False
    elected_at: float | None = None
    recovered: bool = False


@dataclass
class Master:
    """A running master's double."""

    settings: Settings
    log: Log
    stop: Stop
    id: str = field(default_factory=lambda: str(uuid.uuid4()))
    leadership: Leadership = field(default_factory=Leadership)
    refusal: RefusedError | None = None
    started: float = field(default_factory=time.time)

    def __post_init__(self) -> None:
        flags = self.settings.flags
        removed = flags.get("agent_ping_timeout", 15.0) * flags.get("max_agent_ping_timeouts", 5)
        self.members = Members(self.id, removed)
        folder = self.settings.log_folder
        self.replica = Replica(folder, self.settings.quorum, self.log, flags.get("log_auto_initialize", True))

    def info(self) -> dict[str, Any]:
        """MasterInfo, as it stands in ZooKeeper and in `/state`."""
        where = self.settings.place
        domain = self.settings.flags.get("domain")
        return {
            "address": where.address(),
            "capabilities": [{"type": "AGENT_UPDATE"}, {"type": "AGENT_DRAINING"}, {"type": "QUOTA_V2"}],
            "hostname": where.hostname,
            "id": self.id,
            "ip": where.ip_number(),
            "pid": f"master@{where.ip}:{where.advertised_port}",
            "port": where.advertised_port,
            "version": MESOS_VERSION,
            **({"domain": domain} if domain else {}),
        }

    def lead_or_follow(self, data: bytes | None, leading: bool) -> None:
        """Take over, follow, or end: Mesos never goes on after it lost the lead."""
        state = self.leadership
        if state.leading and not leading:
            if data is None:
                return  # cut off from ZooKeeper: until the session is lost, nobody else can lead
            self.log("Lost leadership... committing suicide!", "E")
            return self.stop.now(1)
        state.leader = json.loads(data) if data else None
        if leading and not state.leading:
            self.log(f"Elected as the leading master! {self.info()['pid']} with id {self.id}")
            state.elected_at = time.time()
            state.leading = True
            threading.Thread(target=self._recover, name="recover", daemon=True).start()
        elif state.leader is not None:
            self.log(f"A new leading master (UPID={state.leader.get('pid')}) is detected")

    def lost_session(self) -> None:
        """The session with ZooKeeper expired."""
        if self.leadership.leading:
            self.log("Lost leadership... committing suicide!", "E")
            self.stop.now(1)

    def _recover(self) -> None:
        self.log("Recovering from registrar")
        allowed = self.settings.flags.get("registry_fetch_timeout", 60.0)
        end = time.monotonic() + allowed
        while not self.replica.quorum_votes:
            if time.monotonic() > end:
                self.log(
                    "Recovery failed: Failed to recover registrar: Failed to perform fetch within "
                    f"{allowed:g}secs: fewer than --quorum={self.settings.quorum} replicas vote",
                    "E",
                )
                return self.stop.now(1)
            if self.stop.wait(_RECOVERY_LOOKS):
                return
        self.leadership.recovered = True
        self.log("Successfully recovered the registrar")


def run(arguments: Sequence[str], environ: Mapping[str, str], log: Log, stop: Stop) -> None:
    """Be a mesos-master until `stop`."""
    settings = read_settings(arguments, environ, log)
    master = Master(settings, log, stop)
    web = Web("mesos-master", settings.place.bind, settings.place.port, MasterApi(master).answer, log)
    web.start()
    log(
        f"Master {master.id} ({settings.place.hostname}) started on {settings.place.ip}:{settings.place.port}"
    )
    session = _join(master) if settings.zk is not None else None
    if session is None:
        for _ in range(2):  # from empty to starting, and on to voting
            master.replica.look([])
        master.lead_or_follow(json.dumps(master.info()).encode(), leading=True)
    try:
        stop.wait()
        if master.refusal is not None:
            raise master.refusal
    finally:
        if session is not None:
            session.close()
        web.stop()


def _join(master: Master) -> Session:
    url = master.settings.zk
    assert url is not None
    session = Session(url, master.log, master.settings.flags.get("zk_session_timeout", 10.0))

    def refused(refusal: RefusedError) -> None:
        master.refusal = refusal
        master.stop.now(refusal.code)

    candidates = Election(
        session,
        Group(url.path, "json.info_", EVERYONE_READS if url.user is not None else OPEN),
        name="json.info_",
        data=json.dumps(master.info()).encode(),
        on_change=master.lead_or_follow,
        on_refused=refused,
    )
    where = master.settings.place
    replicas = LogReplicas(session, master.replica, f"{where.ip}:{where.advertised_port}", refused)
    session.on_lost(master.lost_session)
    session.start()
    for work in (candidates.run, replicas.election.run, replicas.run):
        threading.Thread(target=work, args=(master.stop,), daemon=True).start()
    return session


def main() -> int:
    """The program `mesos-master`."""
    if any(word in ("--version", "--version=true") for word in sys.argv[1:]):
        print(version_line("mesos-master"))
        return 0
    return run_program("mesos-master", run)
