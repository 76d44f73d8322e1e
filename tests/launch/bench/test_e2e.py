"""The benchmark of the whole against its parts."""

import dataclasses
import json

import pytest

from launch.bench import e2e
from launch.bench.e2e import EndToEnd, Parts
from launch.config.source import parse_config
from tests.launch.runs import TMAZE, changed, main, write_config

# Frames/s; before and after differ, and the mean time of a frame is 4, 2, 1 and 5 ms.
BEFORE = Parts(environments=500, acting=1000, staging=1000, learning=250)
AFTER = Parts(environments=1000 / 6, acting=1000 / 3, staging=1000, learning=1000 / 6)
SHARED = {"launch__mode": "ray", "launch__learner_gpus": 0.5, "launch__worker_gpus": 0.5}
APART = {**SHARED, "launch__learner_gpus": 1.0}
LOCAL = {**APART, "launch__mode": "local"}


def result(monkeypatch, acting="cpu", learning="cpu", total=86.0, **changes):
    monkeypatch.setattr(e2e, "acting_device", lambda _: acting)
    monkeypatch.setattr(e2e, "learning_device", lambda _: learning)
    return EndToEnd(
        parse_config(changed(TMAZE, **changes), [], "test"), BEFORE, AFTER, total, memory_gb=1.0
    )


@pytest.mark.parametrize(
    ("acting", "learning", "shares", "milliseconds", "limit"),
    [
        ("cpu", "cpu", {}, 4 + 2 + 5, "learning"),
        ("cpu", "cuda", {}, 4 + 2, "environments"),  # although learning is the slowest part
        ("cuda", "cuda", SHARED, 2 + 5, "learning"),
        ("cuda", "cuda", APART, 5, "learning"),
        ("cuda", "cuda", LOCAL, 2 + 5, "learning"),  # nothing is reserved in one process
        ("cuda", "cpu", APART, 4 + 5, "learning"),
    ],
)
def test_only_parts_on_the_same_processors_take_turns(
    acting, learning, shares, milliseconds, limit, monkeypatch
):
    measured = result(monkeypatch, acting, learning, **shares)
    assert measured.bound == pytest.approx(1000 / milliseconds)
    assert measured.limit == limit
    assert measured.ratio == pytest.approx(0.086 * milliseconds)


def test_the_summary_names_the_slowest_part_or_the_waiting(monkeypatch):
    assert result(monkeypatch).summary().startswith("bound by learning: ")
    assert "31% of the bound is lost" in result(monkeypatch, total=63.0).summary()
    assert len(result(monkeypatch).tables()[0].rows) == 4 + 4


def test_copies_to_a_gpu_can_be_what_binds(monkeypatch):
    measured = result(monkeypatch, "cpu", "cuda", total=100.0)
    slow = Parts(environments=1000, acting=1000, staging=100, learning=1000)
    copying = dataclasses.replace(measured, before=slow, after=slow)
    assert copying.bound == pytest.approx(100)
    assert copying.summary().startswith("bound by staging: ")


@pytest.mark.slow
def test_the_command_writes_what_it_measures(tmp_path, capsys):
    config = write_config(tmp_path / "c.yaml", TMAZE)
    assert main("bench", "e2e", str(config), "--seconds", "2", "--json", "e2e.json") == 0
    found = json.loads((tmp_path / "e2e.json").read_text())
    assert {"date", "cpu", "cores", "python", "torch"} <= found.keys()
    for part in Parts._fields:
        before, after = found["before"][part], found["after"][part]
        assert 0 < min(before, after) <= found[part] <= max(before, after)
    assert found["ratio"] == pytest.approx(found["total"] / found["bound"])
    assert found["config"]["launch"]["workers"] == 2
    assert f"{found['ratio']:.2f}" in capsys.readouterr().out
