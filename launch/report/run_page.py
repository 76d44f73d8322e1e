"""Report on runs: a web page with their curves, scores, speed, differences and pictures."""

from __future__ import annotations

import os
import statistics
from collections.abc import Iterable, Iterator, Sequence
from datetime import timedelta
from pathlib import Path
from urllib.parse import quote

from launch.report import html
from launch.report.plot import OpenedRun, all_metrics, group_runs, plot
from launch.run.starts import read_starts

MOST_BYTES = 4_000_000  # of a picture in the page; a larger one is linked
FACTS = ("time", "frames", "command", "host", "cpu", "cores", "gpu", "python", "torch", "commit")
VIDEOS = (".mp4", ".webm", ".mov")
MEANS = ("return_normalised/mean", "held_out_normalised/mean", "held_out_normalised/gap")
LEARNING = (
    *("loss/total", "policy/entropy", "policy/value"),  # of a run that plays games
    *("loss/cross_entropy", "loss/validation"),  # few-shot
    "learner/grad_norm",
)
SPEED = ("throughput/total", "throughput/acting", "throughput/learning", "time/update")


def run_page(runs: Sequence[OpenedRun], file: Path) -> str:
    """Return the page as HTML.

    Args:
        runs: one at least, all of one kind.
        file: where it will be; links to videos start from there.

    Raises:
        OSError: if a picture in a run folder cannot be read.
    """
    names = short_names(runs)
    title = f"Run {names[0]}" if len(runs) == 1 else f"{len(runs)} runs"
    return html.page(
        title,
        [
            ("Runs", _overview(runs, names)),
            ("Started", _starts(runs, names)),
            ("Scores", _scores(runs) + _curves(runs, _score_metrics(runs))),
            ("Learning", _curves(runs, LEARNING)),
            ("Speed", _speed(runs, names) + _curves(runs, SPEED)),
            ("What differs in the configurations", _differences(runs, names)),
            ("Pictures and videos", "\n".join(_media(runs, names, file))),
            ("Configurations", "\n".join(_configurations(runs, names))),
        ],
    )


def short_names(runs: Sequence[OpenedRun]) -> list[str]:
    """Return the names of the run folders; their paths where two have one name."""
    names = [Path(run.name).resolve().name for run in runs]
    return names if len(set(names)) == len(names) else [run.name for run in runs]


def _overview(runs: Sequence[OpenedRun], names: Sequence[str]) -> str:
    rows = []
    for run, name in zip(runs, names, strict=True):
        last = run.rows[-1]
        frames, updates = int(last["frames"]), int(last["updates"])
        rows.append([name, run.config.core, str(run.config.seed), frames, updates, _duration(run)])
    return html.table(["run", "core", "seed", "frames", "updates", "time"], rows)


def _starts(runs: Sequence[OpenedRun], names: Sequence[str]) -> str:
    rows = [
        [name, *(_words(start.get(fact)) for fact in FACTS)]
        for run, name in zip(runs, names, strict=True)
        for start in read_starts(Path(run.name))
    ]
    return html.table(["run", *FACTS], rows) if rows else ""


def _words(fact: object) -> str:
    return "-" if fact is None else str(fact)


def _duration(run: OpenedRun) -> str:
    return str(timedelta(seconds=round(run.rows[-1].get("time/elapsed", 0))))


def _scores(runs: Sequence[OpenedRun]) -> str:
    """Return the table of the last scores: a row for each task and line of the curves."""
    kinds = ["return", "return_normalised", "held_out", "held_out_normalised", "accuracy"]
    known = all_metrics(runs)
    kinds = [kind for kind in kinds if any(name.startswith(f"{kind}/") for name in known)]
    scored = [name.partition("/") for name in known]
    tasks = list(dict.fromkeys(task for kind, _, task in scored if kind in kinds))
    rows: list[list[object]] = []
    for task in sorted(tasks, key=lambda task: task in ("mean", "gap")):  # these come last
        for label, alike in group_runs(runs).items():
            found = [_spread(alike, f"{kind}/{task}") for kind in kinds]
            rows.append([task, label, len(alike), *found])
    titles = [kind.replace("return_", "").replace("_", " ") for kind in kinds]
    told = "From the last row of metrics; of several runs the mean, from the lowest to the highest."
    return html.table(["task", "group", "runs", *titles], rows) + html.note(told) if rows else ""


def _spread(runs: Sequence[OpenedRun], metric: str) -> str | float | None:
    """Return the last value of a metric, of several runs in words."""
    values = [float(run.rows[-1][metric]) for run in runs if metric in run.rows[-1]]
    if len(values) < 2:
        return values[0] if values else None
    mean, low, high = map(html.number, (statistics.fmean(values), min(values), max(values)))
    return f"{mean} ({low} to {high})"


def _score_metrics(runs: Sequence[OpenedRun]) -> list[str]:
    """Return the scores that are drawn: the means, then each task, held out beside training."""
    known = all_metrics(runs)
    tasks = [name.partition("/")[2] for name in known if name.startswith("return/")]
    by_task = [f"{kind}/{task}" for task in tasks for kind in ("return", "held_out")]
    return [*MEANS, *by_task, "accuracy/train", "accuracy/validation"]


def _curves(runs: Sequence[OpenedRun], metrics: Iterable[str]) -> str:
    """Draw those of the metrics that the runs have."""
    known = set(all_metrics(runs))
    wanted = [name for name in metrics if name in known]
    return html.drawing(plot(runs, wanted), ", ".join(wanted)) if wanted else ""


def _speed(runs: Sequence[OpenedRun], names: Sequence[str]) -> str:
    rows = []
    for run, name in zip(runs, names, strict=True):
        rows.append([name, *(_mean(run, metric) for metric in SPEED)])
    told = "Means over the rows of each run. Acting and learning: what each could do alone."
    columns = ["run", "frames per second", "acting", "learning", "seconds for an update"]
    return html.table(columns, rows) + html.note(told)


def _mean(run: OpenedRun, metric: str) -> float | None:
    values = [row[metric] for row in run.rows if metric in row]
    return statistics.fmean(values) if values else None


def _differences(runs: Sequence[OpenedRun], names: Sequence[str]) -> str:
    if len(runs) == 1:
        return ""
    keys = [run.keys for run in runs]
    rows = []
    for key in dict.fromkeys(key for tree in keys for key in tree):
        values = [tree.get(key) for tree in keys]
        if key != "run_dir" and len(set(values)) > 1:
            rows.append([key, *values])
    return html.table(["key", *names], rows) if rows else html.note("Nothing.")


def _configurations(runs: Sequence[OpenedRun], names: Sequence[str]) -> Iterator[str]:
    for run, name in zip(runs, names, strict=True):
        yield html.details(name, "\n".join(f"{key}: {value}" for key, value in run.keys.items()))


def _media(runs: Sequence[OpenedRun], names: Sequence[str], file: Path) -> Iterator[str]:
    """Put the pictures of the run folders into the page, and link what is too large for that."""
    for run, name in zip(runs, names, strict=True):
        folder = Path(run.name)
        for found in sorted(path for path in folder.rglob("*") if path.is_file()):
            ending, caption = found.suffix.lower(), f"{name}: {found.relative_to(folder)}"
            if ending in html.KINDS and found.stat().st_size <= MOST_BYTES:
                yield html.picture(found, caption)
            elif ending in html.KINDS or ending in VIDEOS:
                yield html.link(quote(os.fsencode(os.path.relpath(found, file.parent))), caption)
