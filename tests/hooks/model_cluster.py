"""A model of Marathon, Consul and edges, as small as a deployment can be watched in; a tick is ten seconds.

It knows what really is (which tasks answer, which configuration each worker of each edge has), so that it can
tell what no observation shows: a task killed while an edge could still send to it, and too few that serve.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

from constructs_lib.hooks import observed as ob
from constructs_lib.hooks.steps import Create, Delete, Kill, Scale, SetRoute, Step

TICK = 10.0
Behaviour = Literal["good", "crashes", "never happy"]


@dataclass
class Task:
    name: str
    born: int
    ready: int
    failing: bool = False


@dataclass
class App:
    asked: int
    behaviour: Behaviour = "good"
    tasks: list[Task] = field(default_factory=list)
    failed: int = 0


@dataclass
class Edge:
    name: str
    lag: int
    lingering: int
    config: ob.RouteState = field(default_factory=ob.RouteState)
    older: list[tuple[int, ob.RouteState]] = field(default_factory=list)
    loads: tuple[int, ob.RouteState] | None = None
    silent_until: int = 0
    broken: bool = False
    """Refuses every configuration after the one that it has."""

    def tick(self, now: int, route: ob.RouteState) -> None:
        self.older = [(end, config) for end, config in self.older if end > now]
        if self.broken:
            return
        if self.loads is None and route.generation > self.config.generation:
            self.loads = (now + self.lag, route)
        if self.loads is not None and self.loads[0] <= now:
            self.older.append((now + self.lingering, self.config))
            self.config, self.loads = self.loads[1], None

    def configs(self) -> Iterator[ob.RouteState]:
        yield self.config
        yield from (config for _, config in self.older)


class Model:
    """The cluster; `problems` lists what must never happen."""

    def __init__(
        self,
        old: Mapping[str, int],
        *,
        room: int,
        edges: tuple[tuple[int, int], ...] = ((1, 1), (0, 2)),
        new: Behaviour = "good",
        slow: int = 1,
    ) -> None:
        self.now, self.room, self.slow, self.new = 0, room, slow, new
        self.names = iter(range(100_000))
        self.apps = {name: App(asked=number) for name, number in old.items()}
        for app in self.apps.values():
            app.tasks = [Task(f"t{next(self.names)}", 0, 0) for _ in range(app.asked)]
        weights = {name: app.asked if len(old) > 1 else 100 for name, app in self.apps.items()}
        self.route = ob.RouteState(generation=int(bool(old)), weights=weights)
        self.edges = [
            Edge(name=f"edge{n}", lag=lag, lingering=stay, config=self.route)
            for n, (lag, stay) in enumerate(edges)
        ]
        self.progress = ob.Progress(settled=next(iter(old), None))
        self.judgement = ob.Judgement(says="good", why="no check failed")
        self.unknown_until = 0
        self.young_until = 0
        self.hopeless_until = 0
        """Until then no agent could ever take an instance of a version that is not an old one."""
        self.old = frozenset(old)
        self.faults = 0
        self.cut = 0
        self.problems: list[str] = []
        self.fewest: int | None = None

    def answers(self, task: Task) -> bool:
        return task.ready <= self.now and not task.failing

    def tick(self) -> None:
        self.now += 1
        for name, app in self.apps.items():
            for task in [task for task in app.tasks if app.behaviour == "crashes" and task.ready <= self.now]:
                app.tasks.remove(task)
                app.failed += 1
                # One that answered before it ended was lost to nobody's step.
                self.faults += task.ready < self.now
            placed = name in self.old or self.now >= self.hopeless_until
            while placed and len(app.tasks) < app.asked and self.running() < self.room:
                never = app.behaviour == "never happy"
                task = Task(f"{name}-{next(self.names)}", self.now, self.now + self.slow, never)
                app.tasks.append(task)
        for edge in self.edges:
            edge.tick(self.now, self.route)
        for edge in self.edges:
            serving = self.serving(edge.config)
            self.fewest = serving if self.fewest is None else min(serving, self.fewest)

    def running(self) -> int:
        return sum(len(app.tasks) for app in self.apps.values())

    def serving(self, config: ob.RouteState) -> int:
        return sum(
            self.answers(task) and task.name not in config.drain
            for name, app in self.apps.items()
            if config.weights.get(name)
            for task in app.tasks
        )

    def observed(self) -> ob.Observed:
        return ob.Observed(
            now=self.now * TICK,
            versions={
                name: ob.Version(
                    version=name,
                    asked=app.asked,
                    failed=app.failed,
                    instances=tuple(
                        ob.Instance(task=task.name, health=self.health(task)) for task in app.tasks
                    ),
                )
                for name, app in self.apps.items()
            },
            edges=tuple(self.edge_seen(edge) for edge in self.edges),
            route=self.route,
            progress=self.progress,
            judgement=self.judgement,
            hopeless="cpus: 64 asked" if self.now < self.hopeless_until else None,
        )

    def health(self, task: Task) -> ob.Health:
        if self.now < self.unknown_until:
            return ob.Health.UNKNOWN
        if self.answers(task):
            # A process that begins to look trusts what has requests, and waits with the rest.
            young = self.now < self.young_until and not self.serves(task)
            return ob.Health.STARTING if young else ob.Health.HAPPY
        return ob.Health.UNHEALTHY if task.failing else ob.Health.STARTING

    def serves(self, task: Task) -> bool:
        version = next(name for name, app in self.apps.items() if task in app.tasks)
        return bool(self.route.weights.get(version)) and task.name not in self.route.drain

    def edge_seen(self, edge: Edge) -> ob.Edge:
        if self.now < edge.silent_until:
            return ob.Edge(name=edge.name, generation=None)
        older = [config for _, config in edge.older if config.generation < edge.config.generation]
        return ob.Edge(
            name=edge.name, generation=edge.config.generation, older=len(older), connections=3 * len(older)
        )

    def act(self, step: Step, seen: ob.Observed, *, dies_after: int | None = None) -> None:
        """Do it, as far as nobody else wrote in between; `dies_after` so many actions the process is gone."""
        if self.progress == seen.progress:
            self.progress = step.progress
        for number, action in enumerate(step.actions):
            if number == dies_after:
                return
            match action:
                case Create(version=name, instances=count):
                    self.apps.setdefault(name, App(asked=count, behaviour=self.new)).asked = count
                case Scale(version=name, instances=count, cut=cut) if name in self.apps:
                    self.scale(name, count, cut)
                case SetRoute(weights=shares, drain=drain):
                    if self.route.generation == seen.route.generation:
                        generation = self.route.generation + 1
                        self.route = ob.RouteState(generation=generation, weights=shares, drain=drain)
                        seen = replace(seen, route=self.route)
                case Kill():
                    if self.route.generation == seen.route.generation:
                        self.kill(action)
                case Delete(version=name):
                    if self.apps.pop(name, App(0)).tasks:
                        self.problems.append(f"{name} deleted with instances")

    def scale(self, name: str, count: int, cut: int) -> None:
        """Marathon chooses which ones end, so that it may be told to end all or none."""
        app = self.apps[name]
        app.asked = count
        if count < len(app.tasks):
            configs = [each for edge in self.edges for each in ([edge.config] if cut else edge.configs())]
            sent_to = any(config.weights.get(name) for config in configs)
            if count or (sent_to and any(self.answers(task) for task in app.tasks)):
                self.problems.append(f"{name} scaled to {count} of {len(app.tasks)} running")
            app.tasks.clear()

    def kill(self, action: Kill) -> None:
        app = self.apps[action.version]
        for task in [task for task in app.tasks if task.name in action.tasks]:
            app.tasks.remove(task)
            app.asked = max(app.asked - 1, 0)
            for edge in self.edges:
                configs = [edge.config] if action.cut else list(edge.configs())
                if any(
                    config.weights.get(action.version) and task.name not in config.drain for config in configs
                ):
                    self.problems.append(f"{task.name} killed while {edge.name} sends to it")
        self.cut += action.cut
