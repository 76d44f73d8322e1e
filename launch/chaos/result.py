"""What a chaos has shown."""

from __future__ import annotations

import statistics
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import NamedTuple

from launch.chaos.history import Event, Sample, recovery
from launch.chaos.invariants import Verdict
from launch.chaos.schedule import Kind


class KindSummary(NamedTuple):
    """The faults of one kind."""

    kind: Kind
    planned: int
    happened: int
    median: float | None  # seconds of recovery
    worst: float | None
    unrecovered: int


@dataclass(frozen=True)
class Result:
    """The faults, the rows over time, and the verdicts."""

    planned: Mapping[Kind, int]
    events: list[Event]
    samples: list[Sample]
    verdicts: list[Verdict]

    @property
    def holds(self) -> bool:
        """Whether all invariants hold."""
        return all(verdict.holds for verdict in self.verdicts)

    def kinds(self) -> list[KindSummary]:
        """Return a summary of each kind of fault."""
        summaries = []
        for kind, planned in self.planned.items():
            events = [event for event in self.events if event.kind == kind]
            all_times = [recovery(event, self.samples) for event in events]
            times = [seconds for seconds in all_times if seconds is not None]
            summaries.append(
                KindSummary(
                    kind,
                    planned,
                    len(events),
                    statistics.median(times) if times else None,
                    max(times, default=None),
                    len(events) - len(times),
                )
            )
        return summaries

    def as_dict(self) -> dict[str, object]:
        """Return what is written as JSON."""
        return {
            "holds": self.holds,
            "invariants": [
                {"invariant": v.invariant, "holds": v.holds, "broken": v.broken}
                for v in self.verdicts
            ],
            "kinds": [kind._asdict() for kind in self.kinds()],
            "faults": [
                {**asdict(event), "recovery": recovery(event, self.samples)}
                for event in self.events
            ],
            "frames": [[round(s.time, 2), s.life, s.frames, s.updates] for s in self.samples],
        }
