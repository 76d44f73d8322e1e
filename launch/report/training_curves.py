"""Draw learning curves from run folders, with the untrained policy beside them, and print a table.

    python -m launch.report.training_curves OUT.png --untrained RUN0 RUN1 [RUN2 ...]

One panel a game: the mean return of the last 100 episodes over frames, a line a run, and as the
thick line its mean over a million frames and all runs. The dashed line is the policy of the run
given as `--untrained` (one with a learning rate of practically zero); its band is two standard
deviations of such 100-episode means, so that what leaves the band is no luck. The table compares
the runs' last million frames with it; its standard errors are those of means of 100 episodes that
share none.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np

matplotlib.use("Agg")
from matplotlib import pyplot as plt

MILLION = 1_000_000


def rows_of(run: Path) -> list[dict[str, Any]]:
    """Read a run's metrics, without the rows from before each game had its 100 episodes."""
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return [row for row in rows if min(row[f"episodes/{g}"] for g in games_of(row)) >= 100]


def games_of(row: dict[str, Any]) -> list[str]:
    """Return the games of a row."""
    return [name.removeprefix("episodes/") for name in row if name.startswith("episodes/")]


def separate(rows: list[dict[str, Any]], game: str) -> np.ndarray:
    """Return the 100-episode means of those rows that have no episode in common."""
    chosen, seen = [], 0
    for row in rows:
        if row[f"episodes/{game}"] >= seen + 100:
            chosen.append(row[f"return/{game}"])
            seen = row[f"episodes/{game}"]
    return np.array(chosen)


def last(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the rows of a run's last million frames."""
    return [row for row in rows if row["frames"] > rows[-1]["frames"] - MILLION]


def error(means: np.ndarray) -> float:
    """Return the standard error of the mean of independent values."""
    return float(means.std(ddof=1) / len(means) ** 0.5)


def main() -> None:
    """Draw, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("out", type=Path)
    parser.add_argument("runs", type=Path, nargs="+")
    parser.add_argument("--untrained", type=Path, required=True)
    arguments = parser.parse_args()
    untrained = rows_of(arguments.untrained)
    curves = [rows_of(run) for run in arguments.runs]
    games = games_of(untrained[0])
    figure, axes = plt.subplots(2, (len(games) + 1) // 2, figsize=(12, 6), sharex=True)
    print("| game | untrained | last million frames | difference in standard errors |")
    print("|---|---|---|---|")
    for game, axis in zip(games, axes.flat, strict=False):
        chance = separate(untrained, game)
        now = np.concatenate([separate(last(rows), game) for rows in curves])
        sigmas = (now.mean() - chance.mean()) / np.hypot(error(now), error(chance))
        print(
            f"| {game} | {chance.mean():.2f} ± {error(chance):.2f} "
            f"| {now.mean():.2f} ± {error(now):.2f} | {sigmas:+.1f} |"
        )
        axis.axhline(chance.mean(), color="grey", linestyle="--", label="untrained")
        band = 2 * chance.std(ddof=1)
        axis.axhspan(chance.mean() - band, chance.mean() + band, color="grey", alpha=0.2)
        for rows in curves:
            frames = [row["frames"] for row in rows]
            axis.plot(frames, [row[f"return/{game}"] for row in rows], color="C0", alpha=0.3)
        every = sorted((row["frames"], row[f"return/{game}"]) for rows in curves for row in rows)
        frames, returns = np.array(every).T
        means = [returns[np.abs(frames - frame) <= MILLION / 2].mean() for frame in frames]
        axis.plot(frames, means, color="C0", linewidth=2, label="mean over a million frames")
        axis.set_title(game)
        axis.grid(alpha=0.3)
    figure.supxlabel("frames, of all games together")
    figure.supylabel("return, mean of the last 100 episodes")
    axes.flat[0].legend()
    figure.tight_layout()
    figure.savefig(arguments.out, dpi=110)


if __name__ == "__main__":
    main()
