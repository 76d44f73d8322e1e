"""Every core and option through a run's whole life: trained, interrupted, resumed, evaluated."""

import json

import pytest
import torch

from agents.cores import CORES
from tests.launch.runs import (
    TMAZE,
    assert_resumes_as_uninterrupted,
    changed,
    main,
    plain_values,
    rows,
    tensors,
    train,
)

SETTINGS = {
    **{core: {"agent__core": core} for core in CORES},
    "srwm, detached at each step": {"agent__core": "srwm", "agent__bptt": 1},
    "srwm, the paper's form": {"agent__srwm__input": "softmax"},
    "srwm, plain input": {"agent__srwm__input": "none", "agent__srwm__query_scale": 0.5},
    "srwm, learnt in another way": {
        "agent__policy_scale": 0.01,
        "learner__optimiser": "adam",
        "learner__schedule": "cosine",
        "learner__reduction": "mean",
        "learner__normalise_advantages": True,
        "learner__vtrace_lambda": 0.9,
        "learner__reward_scale": 0.5,
    },
}


def scores(run, file):
    assert main("eval", str(run), "--episodes", "5", "--json", str(file)) == 0
    (result,) = json.loads(file.read_text())
    return result["networks"][0]["episodes"]


@pytest.mark.parametrize("settings", SETTINGS.values(), ids=SETTINGS)
def test_a_core_is_trained_resumed_and_evaluated(settings, tmp_path):
    run = train(tmp_path, changed(TMAZE, **settings), "run")
    assert [rows(run)[-1][name] for name in ("frames", "learner/skipped")] == [400, 0]
    # Each of its parameters has learnt.
    before, after = (
        {k: v for k, v in tensors(run, frames).items() if k.startswith("/learner/agent/")}
        for frames in (100, 400)
    )
    assert [name for name in before if torch.equal(before[name], after[name])] == []
    assert before

    assert plain_values(run, 100)["turn"] == 1  # the second worker is next
    resumed = assert_resumes_as_uninterrupted(run, tmp_path / "resumed", middle=100, last=400)

    (score,) = scores(run, tmp_path / "run.json")
    assert len(score["returns"]) == 5
    assert max(map(abs, score["returns"])) <= 1
    assert scores(resumed, tmp_path / "resumed.json") == [score]
