"""A drill's record: what was broken, what was promised, what was seen; docs/drills.md is made of them."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field

from scripts.drills import Run


@dataclass
class Drill:
    """One drill of a run while it goes on; `name` is the test's."""

    name: str
    of: Run
    broken: str = ""
    promised: str = ""
    seen: list[str] = field(default_factory=list)
    passed: bool = False
    _began: float = field(default_factory=time.monotonic)

    def breaks(self, broken: str, promised: str) -> None:
        """Say what is broken now and what the platform promises; the clock starts."""
        self.broken, self.promised, self._began = broken, promised, time.monotonic()

    @property
    def seconds(self) -> float:
        """Since it was broken."""
        return time.monotonic() - self._began

    def saw(self, what: str) -> None:
        """Something that was seen, and when."""
        self.seen.append(f"{what} ({self.seconds:.0f} s)")

    def close(self, *, passed: bool) -> None:
        """Write the record, if the test got as far as breaking something."""
        self.passed = passed
        if self.broken:
            data = {
                key: value for key, value in vars(self).items() if key != "of" and not key.startswith("_")
            }
            text = json.dumps({"run": self.of.id, **data}, indent=2)
            (self.of.folder / f"{self.name}.json").write_text(text)
