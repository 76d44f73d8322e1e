"""What a run says of a memory that is dead or has blown up."""

import logging
import math

import pytest

import launch.run.memory_watch
from agents import AgentConfig
from launch.run.memory_watch import (
    DEAD_CHANGE,
    DEAD_REPORTS,
    LARGEST_SHIFT,
    UNIFORM_KEYS,
    MemoryWatch,
)
from tests.launch.runs import TMAZE, changed, main, write_config


def layer(number, change, key_entropy, *rates):
    """Return what a report says of a layer with a head for each rate."""
    name = f"memory/layer{number}"
    metrics = {f"{name}/change": change, f"{name}/key_entropy": key_entropy}
    for head, rate in enumerate(rates, 1):
        metrics |= {
            f"{name}/head{head}/rate_y": rate / 2,
            f"{name}/head{head}/rate_k": rate,
            f"{name}/head{head}/shift": 0.5,
        }
    return metrics


# One layer with uniform keys, and one with sharp keys whose rates are closed.
DEAD = layer(1, 7e-4, 0.999, 0.4, 0.6) | layer(2, 1e-5, 0.2, 0.001, 0.002)
ALIVE = DEAD | layer(2, 0.01, 0.2, 0.5, 0.5)
OTHER = {"loss/total": 1.0, "time/update": 0.1}  # an update that reports nothing of the memory


def agent(core="srwm", **srwm):
    return AgentConfig.model_validate({"core": core, "srwm": srwm})


def warnings_of(caplog):
    return [r.getMessage() for r in caplog.records if r.levelno >= logging.WARNING]


def feed(config, *reports):
    watch = MemoryWatch(config)
    for report in reports:
        watch.add(report)
        watch.add(OTHER)
    return watch


def test_a_memory_that_stays_dead_is_reported_once(caplog):
    watch = feed(agent(input="softmax"), *(DEAD_REPORTS - 1) * [DEAD])
    assert warnings_of(caplog) == []
    watch.add(OTHER)
    watch.add(DEAD)
    (line,) = warnings_of(caplog)
    assert f"in the last {DEAD_REPORTS} reports" in line
    assert "layer1: change 7.0e-04, key entropy 0.999, largest rate 0.6" in line
    assert "layer2: change 1.0e-05, key entropy 0.200, largest rate 0.002" in line
    for report in (*50 * [DEAD], ALIVE, *50 * [DEAD]):
        watch.add(report)
    assert warnings_of(caplog) == [line]


@pytest.mark.parametrize(
    "reports",
    [
        100 * [ALIVE],
        100 * [OTHER],
        [*(DEAD_REPORTS - 1) * [DEAD], ALIVE, *(DEAD_REPORTS - 1) * [DEAD]],
        100 * [{**DEAD, "memory/layer1/change": math.nan}],
        100 * [{**DEAD, "memory/layer2/change": DEAD_CHANGE}],
        100 * [{**DEAD, "memory/layer1/key_entropy": UNIFORM_KEYS}],
        100 * [{**DEAD, "memory/layer2/head1/rate_k": 0.5}],
    ],
    ids=[
        "alive",
        "no memory",
        "interrupted",
        "not a number",
        "at the threshold",
        "at rest with sharp keys",
        "one head at rest",
    ],
)
def test_no_other_memory_is_reported_as_dead(reports, caplog):
    feed(agent(), *reports)
    assert warnings_of(caplog) == []


@pytest.mark.parametrize(
    ("config", "remedy"),
    [
        (agent(input="softmax"), "Start a run with agent.srwm.input=layernorm"),
        (agent("sr_delta", input="none"), "Start a run with agent.srwm.input=layernorm"),
        (agent("srwm_no_carry", input="softmax"), "Start a run with agent.srwm.input=layernorm"),
        (agent(), "Try a larger learner.learning_rate, learner.unroll_length or agent.bptt"),
        (
            agent("delta", input="softmax"),
            "Try a larger learner.learning_rate, learner.unroll_length or agent.bptt",
        ),
    ],
)
def test_the_remedy_fits_the_core(config, remedy, caplog):
    feed(config, *DEAD_REPORTS * [DEAD])
    (line,) = warnings_of(caplog)
    assert line.endswith(f". {remedy}")


def test_a_memory_that_has_blown_up_is_reported_once(caplog):
    shifts = {"memory/layer1/head2/shift": LARGEST_SHIFT}
    watch = feed(agent(), ALIVE | shifts)
    assert warnings_of(caplog) == []
    large = shifts | {"memory/layer1/head2/shift": 312.4, "memory/layer2/head1/shift": 120.0}
    for report in 3 * [ALIVE | large]:
        watch.add(report)
    (line,) = warnings_of(caplog)
    assert "memory/layer1/head2/shift is 312" in line
    assert "above 100" in line


def test_the_delta_nets_weights_have_no_base_to_be_relative_to(caplog):
    feed(agent("delta"), ALIVE | {"memory/layer1/head1/shift": 1e6})
    assert warnings_of(caplog) == []


@pytest.mark.parametrize(("threshold", "count"), [(DEAD_CHANGE, 0), (1e9, 1)])
def test_a_run_watches_its_memory(threshold, count, tmp_path, monkeypatch, caplog):
    """With fewer reports, and in one run with thresholds that any memory is below."""
    monkeypatch.setattr("learners.impala.learner.INTROSPECT_EVERY", 1)
    monkeypatch.setattr(launch.run.memory_watch, "DEAD_CHANGE", threshold)
    monkeypatch.setattr(launch.run.memory_watch, "CLOSED_RATES", threshold)
    monkeypatch.setattr(launch.run.memory_watch, "DEAD_REPORTS", 3)
    tree = changed(TMAZE, run_dir=str(tmp_path / "run"), total_frames=200)
    assert main("train", str(write_config(tmp_path / "config.yaml", tree))) == 0
    lines = [line for line in warnings_of(caplog) if line.startswith("the memory is dead")]
    assert len(lines) == count
