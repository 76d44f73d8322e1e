"""Record the memory of every process of a run, and draw it below the run's frames per second.

    srwm train paper-easy6 run_dir=runs/soak &
    python -m launch.bench.soak watch $! memory.jsonl     # until the run ends
    python -m launch.bench.soak draw memory.jsonl runs/soak docs/results/soak/soak.png

`draw` also prints, for the sum of all processes and for each one, how much a straight line through
its memory rises from the first sample to the last, after a warm-up of five minutes.
"""

from __future__ import annotations

import json
import re
import sys
import time
from collections import defaultdict
from contextlib import suppress
from pathlib import Path

import numpy as np
import psutil
from matplotlib.figure import Figure

from launch.machine.facts import memory_mb
from launch.report.files import read_rows

EVERY = 10.0  # seconds
WARM_UP = 300.0  # seconds in which caches and queues fill


def watch(pid: int, target: Path) -> None:
    """Write a line of memory in MB by process every ten seconds, until the driver has ended."""
    driver = psutil.Process(pid)
    target.parent.mkdir(parents=True, exist_ok=True)
    with target.open("w") as file, suppress(psutil.NoSuchProcess):
        while driver.status() != psutil.STATUS_ZOMBIE:
            memory = {}
            for process, mb in memory_mb(driver).items():
                with suppress(psutil.Error):
                    name = "driver" if process == driver else _name(process)
                    memory[f"{name} {process.pid}"] = round(mb, 1)
            file.write(json.dumps({"time": time.time(), "memory": memory}) + "\n")
            file.flush()
            time.sleep(EVERY)


def draw(samples: Path, run: Path, target: Path) -> None:
    """Draw what `watch` saw of a run, and print how its memory rises."""
    lines = read_rows(samples)
    times = np.array([line["time"] for line in lines])
    minutes = (times - times[0]) / 60
    memory: dict[str, list[float]] = defaultdict(lambda: [np.nan] * len(lines))
    for i, line in enumerate(lines):
        for name, mb in line["memory"].items():
            memory[name][i] = mb
    # While a run starts or ends, some of its processes are missing from the sum.
    alive = np.array([len(line["memory"]) for line in lines])
    total = np.array([sum(line["memory"].values()) for line in lines])
    total[alive < np.median(alive)] = np.nan
    rows = [row for row in read_rows(run / "metrics.jsonl") if "time/elapsed" in row]
    # The run's clock does not say when it began: its last row is written as it ends.
    elapsed = np.array([row["time/elapsed"] for row in rows])
    at = (elapsed - elapsed[-1]) / 60 + minutes[-1]

    figure = Figure(figsize=(9, 6), layout="constrained")
    above, below = figure.subplots(2, 1, sharex=True)
    seen = at >= 0
    rates = np.array([row["throughput/total"] for row in rows])
    above.plot(at[seen], rates[seen], linewidth=0.8)
    above.set(ylabel="frames per second", ylim=(0, None), title=f"{run.name}: a soak")
    below.plot(minutes, total / 1000, "k", label="all processes")
    _report("all processes", minutes, total)
    for name, values in sorted(memory.items(), key=lambda item: -np.nanmax(item[1])):
        series = np.array(values)
        if np.isnan(series).mean() < 0.5:
            _report(name, minutes, np.where(np.isnan(total), np.nan, series))
            if np.nanmax(series) > 50:
                below.plot(minutes, series / 1000, linewidth=0.8, label=name.rsplit(" ", 1)[0])
    below.set(xlabel="minutes", ylabel="memory, GB", ylim=(0, None))
    below.legend(fontsize="small", loc="center left", bbox_to_anchor=(1, 0.5))
    figure.savefig(target, dpi=120)


def _report(name: str, minutes: np.ndarray, mb: np.ndarray) -> None:
    late = (minutes >= WARM_UP / 60) & ~np.isnan(mb)
    if late.sum() < 2:
        return
    slope, start = np.polyfit(minutes[late], mb[late], 1)
    first, last = (start + slope * minutes[late][i] for i in (0, -1))
    print(f"{name:45} {first:8.1f} -> {last:8.1f} MB  {(last - first) / first:+7.2%}")


def _name(process: psutil.Process) -> str:
    words = process.cmdline() or [process.name()]
    if found := re.match(r"ray::\w+", words[0]):
        return found[0]
    script = next((word for word in words[1:] if word.endswith(".py")), "")
    return Path(script or words[0]).name


def main(command: str, *arguments: str) -> None:
    """Run `watch` or `draw`."""
    if command == "watch":
        pid, target = arguments
        watch(int(pid), Path(target))
    elif command == "draw":
        draw(*map(Path, arguments))
    else:
        sys.exit(__doc__)


if __name__ == "__main__":
    main(*sys.argv[1:])
