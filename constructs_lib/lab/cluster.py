"""A whole lab: the machines of one site, its network and its package mirror, and what can be done to them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from ipaddress import IPv4Address
from pathlib import Path
from typing import TypeVar

from constructs_lib.errors import LabError
from constructs_lib.lab.cgroups import Cgroups
from constructs_lib.lab.commands import run, try_run, which
from constructs_lib.lab.image import Image
from constructs_lib.lab.journals import collect
from constructs_lib.lab.machine import Done, Identity, Machine
from constructs_lib.lab.mirror import Mirror
from constructs_lib.lab.network import ROUTER, STRANGER, Network, namespace
from constructs_lib.lab.overrides import Overrides
from constructs_lib.lab.reach import within
from constructs_lib.lab.state import State, booted, look, trouble
from constructs_lib.lab.texts import identities
from constructs_lib.plan.model import SitePlan

PAUSE = 0.5
BARE = "#cloud-config\nruncmd: []\n"
"""A machine that has nothing to do when it boots."""
AT_ONCE = 8

T = TypeVar("T")


class Lab:
    """The machines by name. Everything that waits is bounded and says what it waited for."""

    def __init__(
        self,
        plan: SitePlan,
        overrides: Overrides,
        secrets: Mapping[str, str],
        folder: Path,
        image: Image,
        *,
        doubles: Path | None = None,
        agents: Mapping[str, int] | None = None,
        bare: bool = False,
    ) -> None:
        self._folder = folder
        self._lower = folder / "image"
        self._layers = f"{doubles}:{self._lower}" if doubles else str(self._lower)
        self._cgroups = Cgroups(plan.cluster)
        self._network = Network(plan.network, plan.mtu)
        self._mirror = Mirror(image.packages, self._network.router)
        self._image = image
        self._overrides, self._agents = overrides, agents
        wanted = self._identities(plan, secrets)
        if bare:
            wanted = (replace(one, user_data=BARE, volume=None) for one in wanted)
        self._binds = tuple(_bind(name, path) for name, path in overrides.programs.items())
        self._machines = {one.name: self._machine(one) for one in wanted}

    def _identities(self, plan: SitePlan, secrets: Mapping[str, str]) -> Iterator[Identity]:
        return identities(plan, self._overrides, secrets, self._mirror.apt_source, self._agents)

    def _machine(self, identity: Identity) -> Machine:
        folder = self._folder / "machines" / identity.name
        return Machine(identity, folder, self._layers, self._cgroups, self._binds)

    def prepare(self) -> None:
        """Network, mirror, image and every machine's disks; nothing runs yet."""
        self._lower.mkdir(parents=True, exist_ok=True)
        run("mount", "-o", "loop,ro", self._image.root, self._lower)
        self._network.up()
        self._mirror.start()
        self._make(list(self._machines))

    def _make(self, names: Sequence[str]) -> None:
        for name in names:
            self._network.plug(name, self._at(name).identity.address)
        self._each(names, lambda machine: machine.create())

    def extend(self, plan: SitePlan, secrets: Mapping[str, str]) -> list[str]:
        """Make the machines that a later plan has beside those here; their names. None is on yet."""
        new = {one.name: one for one in self._identities(plan, secrets) if one.name not in self._machines}
        self._machines |= {name: self._machine(one) for name, one in new.items()}
        self._make(list(new))
        return list(new)

    def names(self) -> list[str]:
        """Every machine, planned nodes first."""
        return list(self._machines)

    def identity(self, name: str) -> Identity:
        """What the machine was born with, secrets left out."""
        return replace(self._at(name).identity, secrets={})

    def start(self, *names: str) -> None:
        """Power on these machines, or all."""
        self._each(names or self._machines, lambda machine: machine.start())

    def stop(self, *names: str) -> None:
        """Power off as by the button these machines, or all."""
        self._each(names or self._machines, lambda machine: machine.stop())

    def crash(self, *names: str) -> None:
        """Take the power away from these machines."""
        self._each(names, lambda machine: machine.crash())

    def destroy(self, name: str, *, keep_data: bool) -> None:
        """Take the machine and its root disk away, its data volume too unless it is kept."""
        machine = self._at(name)
        machine.crash()
        machine.remove(keep_data=keep_data)

    def rebuild(
        self,
        name: str,
        *,
        user_data: str | None = None,
        secrets: Mapping[str, str] | None = None,
        lacking: Sequence[str] = (),
    ) -> None:
        """A new machine in the place of a destroyed one, powered on; it boots for the first time.

        `user_data` and `secrets` replace what it would get; `lacking` are packages that its image has not.
        """
        machine = self._at(name)
        if machine.on:
            raise LabError(f"{name} is on: destroy it first")
        if user_data is not None:
            machine.identity = replace(machine.identity, user_data=user_data)
        machine.create()
        if secrets is not None:
            machine.hand_out({**machine.identity.secrets, **secrets})
        for package in lacking:
            run("chroot", machine.root, "dpkg", "--purge", "--force-depends", package)
        machine.start()

    def hand_out(self, name: str, secrets: Mapping[str, str]) -> None:
        """What the machine gets from now on when it asks for a secret, rebuilt or not."""
        machine = self._at(name)
        machine.identity = replace(machine.identity, secrets=secrets)
        machine.hand_out(secrets)

    def run(self, name: str, *command: str, timeout: float = 60, stdin: str | None = None) -> Done:
        """Run a command in a machine, as root."""
        return self._at(name).run(*command, timeout=timeout, stdin=stdin)

    def reach(self, name: str | None, *command: str, timeout: float = 30) -> Done:
        """Run a program of this computer in a machine's network, a stranger's, or the router's (None)."""
        return within(namespace(name) if name else ROUTER, *command, timeout=timeout)

    def cut(self, name: str) -> None:
        """Cut the machine off the network."""
        self._network.cut(self._at(name).name)

    def heal(self, name: str) -> None:
        """Undo `cut`."""
        self._network.heal(self._at(name).name)

    def address(self, name: str, address: str) -> None:
        """Give the machine another address, as a platform that renumbers does."""
        self._network.address(self._at(name).name, IPv4Address(address))

    def limit_cpu(self, name: str, percent: int | None) -> None:
        """Slow the machine down to `percent` of one CPU; None takes the limit away."""
        self._cgroups.make(name)
        self._cgroups.limit_cpu(name, percent)

    def cpu_seconds(self, name: str) -> float:
        """CPU time that the machine has used."""
        return self._cgroups.cpu_seconds(name)

    def mirror(self, *, up: bool) -> None:
        """Take the package mirror away, or bring it back."""
        self._mirror.start() if up else self._mirror.stop()

    def states(self) -> list[State]:
        """How every machine is, asked now."""
        return self._each(list(self._machines), look)

    def wait(self, seconds: float, *names: str) -> float:
        """Until these machines (or all) have booted and are healthy at once; returns the seconds it took.

        LabError at once where a first boot ended in an error, and after `seconds` with what was waited for;
        either way the journals are in the log folder then.
        """
        everybody = list(names or self._machines)
        began, waiting = time.monotonic(), everybody
        while True:
            asked, states = waiting, self._each(waiting, look)
            broken = [state for state in states if state.broken]
            if broken:
                raise LabError(self._told(broken, "the boot failed"))
            waiting = [state.name for state in states if not state.healthy]
            if not waiting and asked == everybody:
                return time.monotonic() - began
            if not waiting:
                # All were healthy once; whoever was so first may not be any more.
                waiting = everybody
                continue
            if time.monotonic() - began > seconds:
                late = [state for state in states if not state.healthy]
                raise LabError(self._told(late, f"not healthy after {seconds:g} s"))
            time.sleep(PAUSE)

    def wait_booted(self, seconds: float) -> float:
        """Until cloud-init has ended on every machine, whatever came of it; returns the seconds it took."""
        began = time.monotonic()
        while late := [name for name, machine in self._machines.items() if not booted(machine)]:
            if time.monotonic() - began > seconds:
                raise LabError(f"not booted after {seconds:g} s: {', '.join(late)}")
            time.sleep(PAUSE / 5)
        return time.monotonic() - began

    def journals(self, folder: str | None = None) -> str:
        """Write every machine's journal, console and cloud-init output; returns the folder."""
        target = Path(folder) if folder else self._folder.parent / "logs" / "lab"
        collect(self._machines.values(), target)
        return str(target)

    def down(self) -> None:
        """Stop everything and take it away."""
        self._each(list(self._machines), lambda machine: machine.stop(20))
        self._mirror.stop()
        self._network.unplug(STRANGER)
        for machine in self._machines.values():
            self._network.unplug(machine.name)
            machine.remove(keep_data=False)
        try_run([("ip", "netns", "del", ROUTER), ("umount", self._lower)])
        self._cgroups.remove()

    def _told(self, states: Sequence[State], what: str) -> str:
        lines = [f"{state.name}: {trouble(self._machines[state.name], state)}" for state in states]
        return "\n".join([f"{what}:", *lines, f"journals: {self.journals()}"])

    def _at(self, name: str) -> Machine:
        if name not in self._machines:
            raise LabError(f"machine: got {name!r}, expected one of {', '.join(self._machines)}")
        return self._machines[name]

    def _each(self, names: Sequence[str] | Mapping[str, Machine], work: Callable[[Machine], T]) -> list[T]:
        machines = [self._at(name) for name in names]
        with ThreadPoolExecutor(AT_ONCE) as pool:
            return list(pool.map(partial(_call, work), machines))


def _bind(program: str, path: str) -> str:
    """The option by which a machine sees a program of this computer."""
    found = which(program)
    if found is None:
        raise LabError(
            f"{program}: no such program here, but machines need it at {path}; make tools brings it"
        )
    return f"--bind-ro={Path(found).resolve()}:{path}"


def _call(work: Callable[[Machine], T], machine: Machine) -> T:
    return work(machine)
