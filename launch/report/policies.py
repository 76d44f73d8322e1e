"""Tables, CSV and JSON of evaluations of runs that play games."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.table import Table

from envs import NORMALISATION
from launch.config.values import values_of
from launch.play.evaluate import Evaluation
from launch.play.intervals import Estimate
from launch.play.policies import PolicyResult
from launch.report.differences import differing_keys
from launch.report.facts import differing, plain, shared, with_half
from launch.report.table import table


def facts_of(results: Sequence[PolicyResult]) -> list[dict[str, str]]:
    """Return for each result what a reader needs to know of it, in words."""
    configs = [values_of(result.config) for result in results]
    keys = [key for key in differing_keys(configs) if key != "agent.core"]
    return [
        {
            "core": result.config.core,
            **{key: values.get(key, "-") for key in keys},
            "checkpoint": result.checkpoint,
            "frames learnt": " ".join(
                f"{frames:,}" for frames in dict.fromkeys(e.frames for e in result.evaluations)
            ),
            "seeds": " ".join(map(str, result.seeds)),
            "actions": "sampled" if result.sampled else "greedy",
            "episodes": f"{result.episodes:,}",
            "leaked levels left out": _left_out(result.evaluations[0].left_out),
        }
        for result, values in zip(results, configs, strict=True)
    ]


def _left_out(leaks: Mapping[str, Mapping[str, Sequence[int]]]) -> str:
    if not leaks:
        return "no"
    counts = [
        f"{task} {len(levels)} of {split}"
        for split, games in leaks.items()
        for task, levels in games.items()
        if levels
    ]
    return "; ".join(counts) or "there are none"


def return_table(results: Sequence[PolicyResult]) -> Table:
    """Return the mean returns: a row for each game and result, a column for each split."""
    facts = facts_of(results)
    names = differing(facts)
    splits = _splits(results)
    rows = []
    for task in dict.fromkeys(score.task for result in results for score in result.scores):
        for result, known in zip(results, facts, strict=True):
            found = {score.split: score.ret for score in result.scores if score.task == task}
            if found:
                cells = [with_half(found.get(split), ".2f") for split in splits]
                rows.append([task, *(known[name] for name in names), *cells])
    columns = [(title, "") for title in ("game", *names)] + [(split, ".2f") for split in splits]
    return table(columns, rows, "mean return ± half of the 95 % interval")


def normalised_table(results: Sequence[PolicyResult]) -> Table | None:
    """Return the normalised returns of all games: for each statistic a row for each result.

    None if no result has any: a game may have no published range.
    """
    known = [(result, facts) for result, facts in zip(results, facts_of(results), strict=True)]
    known = [(result, facts) for result, facts in known if result.aggregates]
    if not known:
        return None
    names = differing([facts for _, facts in known])
    places = list(dict.fromkeys(found.split for result, _ in known for found in result.aggregates))
    rows = []
    for statistic in dict.fromkeys(a.statistic for result, _ in known for a in result.aggregates):
        for result, facts in known:
            found = {a.split: a.estimate for a in result.aggregates if a.statistic == statistic}
            cells = [with_half(found.get(place), ".2f") for place in places]
            rows.append([statistic, *(facts[name] for name in names), *cells])
    columns = [(title, "") for title in ("of all games", *names)]
    columns += [(place, ".2f") for place in places]
    return table(
        columns, rows, f"normalised return ± the same (IQM: interquartile mean)\n{NORMALISATION}"
    )


def _splits(results: Sequence[PolicyResult]) -> list[str]:
    return list(dict.fromkeys(score.split for result in results for score in result.scores))


def shared_facts(results: Sequence[PolicyResult]) -> str:
    """Return what all results share, and what the intervals are over."""
    return shared(facts_of(results), {_unit(result) for result in results})


def _unit(result: PolicyResult) -> str:
    return "seeds" if len(result.seeds) > 1 else "episodes"


def write_csv(file: Path, results: Sequence[PolicyResult]) -> None:
    """Write every estimate on a line of its own, with all that is known of it.

    `game` is empty where a statistic is of all games. `split` is `gap` for the training levels
    minus the mean of the held-out splits. `scale` is `return` or `normalised`.
    """
    facts = facts_of(results)
    heading = ["split", "game", "statistic", "scale", "estimate", "low", "high", "interval over"]
    with file.open("w", newline="") as opened:
        writer = csv.writer(opened)
        writer.writerow([*facts[0], *heading])
        for result, known in zip(results, facts, strict=True):
            for *place, estimate in _estimates(result):
                writer.writerow([*map(plain, known.values()), *place, *estimate, _unit(result)])


def _estimates(result: PolicyResult) -> Iterator[tuple[str, str, str, str, Estimate]]:
    for split, task, ret, normalised in result.scores:
        yield split, task, "mean", "return", ret
        if normalised is not None:
            yield split, task, "mean", "normalised", normalised
    for statistic, split, estimate in result.aggregates:
        yield split, "", statistic, "normalised", estimate


def as_tree(results: Sequence[PolicyResult]) -> list[dict[str, Any]]:
    """Return the results, and the return of each episode, as plain values for JSON.

    JSON has no infinity and no NaN: such numbers are null.
    """
    return [
        {
            "runs": result.runs,
            "facts": facts,
            "intervals_over": _unit(result),
            "normalisation": NORMALISATION,
            "scores": [
                {
                    "split": split,
                    "task": task,
                    "return": _estimate_tree(ret),
                    "normalised": normalised and _estimate_tree(normalised),
                }
                for split, task, ret, normalised in result.scores
            ],
            "aggregates": [
                {"statistic": statistic, "split": split, **_estimate_tree(estimate)}
                for statistic, split, estimate in result.aggregates
            ],
            "networks": [
                {"run": run, "seed": seed, **_evaluation_tree(evaluation)}
                for run, seed, evaluation in zip(
                    result.runs, result.seeds, result.evaluations, strict=True
                )
            ],
        }
        for result, facts in zip(results, facts_of(results), strict=True)
    ]


def _estimate_tree(estimate: Estimate) -> dict[str, float | None]:
    return {name: _finite(value) for name, value in estimate._asdict().items()}


def _evaluation_tree(evaluation: Evaluation) -> dict[str, Any]:
    return {
        "frames": evaluation.frames,
        "evaluation_seed": evaluation.seed,
        "left_out": evaluation.left_out,
        "episodes": [
            {
                "split": score.split,
                "task": score.task,
                "levels": score.levels or None,
                "returns": [_finite(ret) for ret in score.returns],
            }
            for score in evaluation.scores
        ],
    }


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None
