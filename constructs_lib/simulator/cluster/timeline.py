"""Time of the simulator, and what happens when: a clock that tests turn by hand, or one that runs."""

from __future__ import annotations

import heapq
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

_START = 1_795_449_600.0
"""23 November 2026, 16:00: where a hand clock begins, so that a test's times never change."""


class Clock(Protocol):
    """Seconds since 1970, as the simulator counts them."""

    def now(self) -> float:
        """The time."""


class HandClock:
    """A clock that stands still until `SimulatedCluster.advance` turns it."""

    def __init__(self, start: float = _START) -> None:
        self.time = start

    def now(self) -> float:
        """The time."""
        return self.time


class RunningClock:
    """The real time, or `speed` times as fast from now on."""

    def __init__(self, speed: float = 1.0) -> None:
        self.speed = speed
        self._began = time.time()
        self._counted = time.monotonic()

    def now(self) -> float:
        """The time."""
        return self._began + (time.monotonic() - self._counted) * self.speed

    def catch_up(self, moment: float) -> None:
        """Be not before `moment`: time that ran faster does not go back after a restart."""
        self._began += max(0.0, moment - self.now())


@dataclass(order=True)
class Event:
    """Something that will happen at `time`, unless it is cancelled."""

    time: float
    number: int
    do: Callable[[], None] = field(compare=False)
    cancelled: bool = field(default=False, compare=False)

    def cancel(self) -> None:
        """Let it not happen."""
        self.cancelled = True


class Timeline:
    """Events in the order of their times; whoever touches the world holds `lock`, events do."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.lock = threading.RLock()
        self._changed = threading.Condition(self.lock)
        self._events: list[Event] = []
        self._number = 0
        self._running = True
        self._thread: threading.Thread | None = None

    def now(self) -> float:
        """Seconds since 1970."""
        return self.clock.now()

    def after(self, seconds: float, do: Callable[[], None]) -> Event:
        """Let `do` happen in `seconds`."""
        with self.lock:
            self._number += 1
            event = Event(self.now() + max(0.0, seconds), self._number, do)
            heapq.heappush(self._events, event)
            self._changed.notify_all()
            return event

    def advance(self, seconds: float) -> None:
        """Turn a hand clock, with everything that happens until then, each at its own time."""
        clock = self.clock
        if not isinstance(clock, HandClock):
            raise TypeError("a clock that runs by itself can't be turned: use HandClock")
        if seconds < 0:
            raise ValueError(f"got {seconds} s, expected 0 or more: time does not go back")
        with self.lock:
            end = clock.time + seconds
            while (event := self._next(end)) is not None:
                clock.time = max(clock.time, event.time)
                event.do()
            clock.time = end

    def _next(self, end: float) -> Event | None:
        while self._events and self._events[0].time <= end:
            event = heapq.heappop(self._events)
            if not event.cancelled:
                return event
        return None

    def start(self) -> None:
        """Run by itself, where the clock does."""
        if isinstance(self.clock, RunningClock):
            self._thread = threading.Thread(target=self._run, args=(self.clock,), name="time", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """Let nothing happen any more."""
        with self.lock:
            self._running = False
            self._changed.notify_all()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(timeout=10)

    def _run(self, clock: RunningClock) -> None:
        with self.lock:
            while self._running:
                event = self._next(clock.now())
                if event is not None:
                    event.do()
                elif self._events:
                    self._changed.wait(max(0.0, (self._events[0].time - clock.now()) / clock.speed))
                else:
                    self._changed.wait()
