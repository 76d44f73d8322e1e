"""Draw learning curves from run folders, with the untrained policy beside them.

    python results/curve.py OUT.png --untrained RUN0 RUN1 [RUN2 ...]

One panel a game: the mean return of the last 100 episodes over frames, a line a run, and its mean
over the runs as the thick line. The dashed line is the policy of the run given as `--untrained`
(one with a learning rate of practically zero); its band is two standard deviations of such
100-episode means, so that what leaves the band is no luck.
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


def rows_of(run: Path) -> list[dict[str, Any]]:
    """Read a run's metrics, without the rows from before each game had its 100 episodes."""
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return [row for row in rows if min(row[f"episodes/{g}"] for g in games_of(row)) >= 100]


def games_of(row: dict[str, Any]) -> list[str]:
    """Return the games of a row."""
    return [name.removeprefix("episodes/") for name in row if name.startswith("episodes/")]


def main() -> None:
    """Draw."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("out", type=Path)
    parser.add_argument("runs", type=Path, nargs="+")
    parser.add_argument("--untrained", type=Path, required=True)
    arguments = parser.parse_args()
    untrained = rows_of(arguments.untrained)
    curves = [rows_of(run) for run in arguments.runs]
    games = games_of(untrained[0])
    figure, axes = plt.subplots(2, (len(games) + 1) // 2, figsize=(12, 6), sharex=True)
    for game, axis in zip(games, axes.flat, strict=False):
        chance = np.array([row[f"return/{game}"] for row in untrained])
        axis.axhline(chance.mean(), color="grey", linestyle="--", label="untrained")
        band = 2 * chance.std()
        axis.axhspan(chance.mean() - band, chance.mean() + band, color="grey", alpha=0.2)
        for rows in curves:
            frames = [row["frames"] for row in rows]
            axis.plot(frames, [row[f"return/{game}"] for row in rows], color="C0", alpha=0.4)
        if len(curves) > 1:
            length = min(map(len, curves))
            stacked = np.array([[r[f"return/{game}"] for r in rows[-length:]] for rows in curves])
            frames = [row["frames"] for row in curves[0][-length:]]
            axis.plot(frames, stacked.mean(0), color="C0", linewidth=2, label="mean of runs")
        axis.set_title(game)
        axis.grid(alpha=0.3)
    figure.supxlabel("frames, of all games together")
    figure.supylabel("return, mean of the last 100 episodes")
    axes.flat[0].legend()
    figure.tight_layout()
    figure.savefig(arguments.out, dpi=110)


if __name__ == "__main__":
    main()
