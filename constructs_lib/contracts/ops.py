"""`ops:` of a contract: what the platform gives the application. See model.py."""

from __future__ import annotations

from typing import Any

from pydantic import Field, GetJsonSchemaHandler, model_validator
from pydantic_core import CoreSchema

from constructs_lib.contracts import fields as f
from constructs_lib.spec import fields as sf
from constructs_lib.spec.group import Group
from constructs_lib.spec.rules import refuse


class InstancesSpec(Group):
    """How many instances: a number, or `min` and `max` with what they follow."""

    min: f.Count
    """The fewest; these are started first."""
    max: f.Count
    """The most."""
    follow: f.Signal | None = None
    """What the number follows: cpu, memory, or a PromQL expression of 0 to 1 per instance."""
    target: f.Target = 0.7
    """The value of `follow` that is held."""
    offset: f.Offset = 0.0
    """The value of `follow` where an instance serves nobody: what it takes for itself is no load."""

    @model_validator(mode="before")
    @classmethod
    def _from_number(cls, value: Any) -> Any:
        """`instances: 3` is short for both."""
        if isinstance(value, int) and not isinstance(value, bool):
            return {"min": value, "max": value}
        if not isinstance(value, dict | InstancesSpec):
            raise refuse("a number such as 3, or {min: 2, max: 10, follow: cpu}")
        return value

    @classmethod
    def __get_pydantic_json_schema__(
        cls, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        found = handler.resolve_ref_schema(handler(schema))
        group = {key: found.pop(key) for key in list(found) if key != "title"}
        found["oneOf"] = [{"type": "integer", "minimum": 0, "maximum": 1000}, group]
        return found


class SpreadSpec(Group):
    """How instances are kept apart."""

    zones: f.ZoneCount | None = None
    """Over so many zones at least, strictly: with one of them gone, its instances are started nowhere
    else. The default is one zone fewer than there are, so that the loss of one is made up for.
    """
    per_host: f.PerHost | None = None
    """At most so many on one agent."""


class CanaryCheckSpec(Group):
    """A PromQL expression over the new version that has to stay within its bounds."""

    name: f.CheckName
    """What reports call it."""
    query: f.Query
    """The expression; `$version` is replaced by the canary's version."""
    lower: f.Bound | None = None
    """Below it the canary is bad."""
    upper: f.Bound | None = None
    """Above it the canary is bad."""
    dry_run: sf.Switch = False
    """True only tells."""


class CanarySpec(Group):
    """How much goes to the new version first, and what decides about it."""

    percent: f.SmallPercent = 5
    """Its share of the requests."""
    instances: f.Surge = 1
    """Its instances."""
    seconds: f.LongSeconds = 600
    """How long it is looked at."""
    min_requests: f.Requests = 100
    """With fewer it is undecided, and waits."""
    promote: f.Promote = "automatic"
    """manual: `clustermesos promote NAME` decides."""
    checks: tuple[CanaryCheckSpec, ...] = ()
    """What has to hold besides health."""


class DeploySpec(Group):
    """How a new version replaces the old one."""

    strategy: sf.Strategy = "rolling"
    """rolling, blue-green and canary lose no request and need a health check; recreate doesn't."""
    surge: f.Surge = 1
    """Rolling: how many instances beyond the wanted number at once."""
    min_healthy_seconds: f.NoOrSomeSeconds = 10
    """How long an instance has to be healthy before it counts."""
    progress_deadline_seconds: f.LongSeconds = 600
    """How long without another healthy instance until the deployment turns round."""
    drain_seconds: f.NoOrSomeSeconds = 60
    """How long open requests may take to end."""
    on_drain_timeout: f.OnTimeout = "cut"
    """cut ends what is still open then; wait doesn't."""
    canary: CanarySpec | None = None
    """Canary's own settings."""


class RouteSpec(Group):
    """Where the edge answers for the application."""

    host: f.Host
    """The name that visitors ask for."""
    path: f.Path = "/"
    """The path below which all requests are the application's."""
    smoke: f.Path | None = None
    """Asked through the edge after a deployment, expecting 200."""


class KeepSpec(Group):
    """How many snapshots are kept, the newest of each period."""

    last: f.Kept = 0
    """The newest, whatever their age."""
    hourly: f.Kept = 0
    """One an hour."""
    daily: f.Kept = 7
    """One a day."""
    weekly: f.Kept = 4
    """One a week."""
    monthly: f.Kept = 6
    """One a month."""
    yearly: f.Kept = 0
    """One a year."""


class DumpSpec(Group):
    """A command that writes the data in a form that can be restored, before it is backed up."""

    command: f.Command
    """Prints the dump on standard output; it has the contract's environment and secrets."""
    image: sf.Image | None = None
    """Where the command is; the default is the application's own image."""
    file: f.FileName = "dump"
    """The dump's name."""
    load: f.Command | None = None
    """Reads the dump on standard input and loads it: what `clustermesos restore` runs once the application is
    up again.
    """


class BackupSpec(Group):
    """What is saved, and how it is proved."""

    volume: f.VolumeName
    """The volume of `dev.state`."""
    what: f.BackedUp | None = None
    """volume, dump or both; the default is the dump where there is one: a running database's
    files are none.
    """
    before: DumpSpec | None = None
    """The dump."""
    schedule: f.Schedule = "daily"
    """hourly, daily, weekly, monthly, `daily at 02:30` (UTC), or a period such as PT6H."""
    keep: KeepSpec = Field(default_factory=KeepSpec)
    """How many are kept."""
    to: sf.TargetName | None = None
    """A target of cluster.yaml's `backups`; the default is the only one."""
    encryption: f.Encrypted = True
    """restic encrypts always; the word stands here so that it can be seen."""
    restore_test: f.RestoreTest = "weekly"
    """How often the newest snapshot is restored into a scratch folder and looked at."""
    verify: f.Command | None = None
    """A command that looks at what was restored, in whose folder it runs; 0 is good."""


class AlertsSpec(Group):
    """When the owner is told, and how urgent it is."""

    page: sf.Switch = True
    """True wakes somebody up (severity page), false waits for the morning (severity ticket)."""
    runbook: f.Runbook | None = None
    """The page that says what to do."""
    down_seconds: f.LongSeconds = 120
    """How long fewer than `min_percent` of the instances may answer."""
    min_percent: f.Percent = 50
    """The share of the instances, `min` of them, that has to answer."""
    restarts_per_hour: f.Restarts = 5
    """More instances than these that were replaced within an hour."""
    error_percent: f.Percent = 5
    """The share of the edge's answers that may be 5xx, over five minutes."""


class ExceptionSpec(Group):
    """A rule of the policy that this contract may break, and why."""

    rule: f.Rule
    """placement, strategy, backup, health, on-call, alerts or digest."""
    reason: f.Reason
    """Why, for whoever reads it next year."""
    ticket: f.Ticket
    """Where it was agreed."""


class OpsSpec(Group):
    """What the platform gives, within the policies of cluster.yaml; its operators answer for it."""

    cpus: f.Cpus
    """CPUs of each instance, such as 0.5."""
    memory_mib: f.MemoryMib
    """Memory of each instance; one that takes more is ended."""
    disk_mib: f.DiskMib = 0
    """Disk of each instance's sandbox."""
    instances: InstancesSpec = Field(default_factory=lambda: InstancesSpec(min=1, max=1))
    """How many, or min and max with what they follow."""
    placement: sf.Placement | None = None
    """private, public or any cloud; the default is the policy's first, and any without one."""
    sites: tuple[sf.SiteName, ...] = ()
    """Only at these sites; the default is all that placement allows."""
    pools: tuple[sf.PoolName, ...] = ()
    """Only on agents of these pools."""
    attributes: dict[sf.AttributeName, sf.AttributeValue] = {}
    """Only on agents that have all these attributes."""
    nodes: tuple[sf.HostAddress, ...] = ()
    """Only on the agents with these addresses: where a local volume is."""
    spread: SpreadSpec = Field(default_factory=SpreadSpec)
    """How instances are kept apart."""
    deploy: DeploySpec = Field(default_factory=DeploySpec)
    """How a new version replaces the old one."""
    route: RouteSpec | None = None
    """Where the edge answers for it; without it only Consul knows it."""
    backup: BackupSpec | None = None
    """What is saved, and how it is proved."""
    alerts: AlertsSpec | None = None
    """When the owner is told."""
    policy: sf.PolicyName | None = None
    """A policy of cluster.yaml; the default is the one that says `default: true`."""
    exceptions: tuple[ExceptionSpec, ...] = ()
    """Rules of the policy that this contract may break."""
