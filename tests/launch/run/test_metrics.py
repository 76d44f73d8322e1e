"""Rows of metrics, and the files they go to."""

import json
import statistics
from itertools import pairwise

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.custom_scalar import layout_pb2
from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData

from envs import EnvsConfig, Episode
from launch.config.source import parse_config
from launch.flow.base import RolloutInfo, UpdateReport
from launch.flow.build import build_agent
from launch.run.dashboard import Dashboard, set_aside_after
from launch.run.folder import RunFolder
from launch.run.memory_charts import memory_names
from launch.run.policy import WINDOW, PolicyMetrics, policy_view
from launch.run.starts import read_starts
from tests.launch.runs import (
    TMAZE,
    assert_resumes_as_uninterrupted,
    changed,
    rows,
    train,
    without_clock,
)

GAMES = EnvsConfig(tasks=("bigfish", "maze"))
T, N = 5, 4


def report(updates, episodes=(), loss=0.0, depth=0.0):
    metrics = {"loss/total": loss, "time/update": 0.5}
    infos = [RolloutInfo(N, [Episode(0, *each) for each in episodes], seconds=2.0)]
    return UpdateReport(updates * T * N, updates, metrics, infos, depth)


def metrics(envs=GAMES, workers=3):
    return PolicyMetrics(envs, workers, T)


def test_a_row_is_the_mean_over_the_updates_since_the_last_one():
    collected = metrics()
    for update, loss in [(1, 2.0), (2, 4.0), (3, 9.0)]:
        collected.add(report(update, loss=loss, depth=update / 2))
    row = collected.row()
    assert (row["frames"], row["updates"]) == (3 * T * N, 3)
    assert row["loss/total"] == 5.0
    assert row["queue/depth"] == 1.0
    collected.add(report(4, loss=-1.0))
    assert collected.row()["loss/total"] == -1.0


def test_returns_are_means_over_the_last_episodes_of_each_game():
    collected = metrics()
    returns = [float(i) for i in range(WINDOW + 30)]
    for i, ret in enumerate(returns):
        collected.add(report(i + 1, [("bigfish", ret, i), ("maze", -ret, 7)]))
    row = collected.row()
    assert row["return/bigfish"] == statistics.fmean(returns[30:])
    assert row["return/maze"] == -row["return/bigfish"]
    assert row["length/bigfish"] == statistics.fmean(range(30, WINDOW + 30))
    assert row["length/maze"] == 7
    assert row["episodes/bigfish"] == row["episodes/maze"] == WINDOW + 30
    assert collected.row()["return/bigfish"] == row["return/bigfish"]  # no row empties the window


def test_a_game_without_an_episode_has_no_return_and_the_mean_waits_for_it():
    collected = metrics()
    collected.add(report(1, [("bigfish", 20.5, 10)]))
    row = collected.row()
    assert "return/maze" not in row
    assert row["episodes/maze"] == 0
    # bigfish, easy: 1 to 40 (arXiv 1912.01588)
    assert row["return_normalised/bigfish"] == pytest.approx(0.5)
    assert "return_normalised/mean" not in row
    collected.add(report(2, [("maze", 10.0, 10)]))
    row = collected.row()
    assert row["return_normalised/maze"] == pytest.approx(1.0)  # 5 to 10
    assert row["return_normalised/mean"] == pytest.approx(0.75)


def test_a_task_without_a_published_range_has_no_normalised_return():
    envs = EnvsConfig(tasks=("memory/TMaze-8",))
    collected = metrics(envs)
    collected.add(report(1, [(envs.tasks[0], 1.0, 9)]))
    assert not [name for name in collected.row() if name.startswith("return_normalised")]


def test_throughput_counts_what_was_learnt_and_what_could_be_acted():
    collected = metrics(workers=3)
    collected.add(report(1))
    collected.add(report(2))
    row = collected.row()
    # Two rollouts of T x N steps in 2 s each by one worker, and there are three.
    assert row["throughput/acting"] == 3 * T * N / 2.0
    assert row["throughput/learning"] == T * N / 0.5
    assert row["throughput/total"] > 0
    assert row["time/elapsed"] > 0


def test_a_loaded_state_goes_on_as_the_one_that_was_saved():
    before = metrics()
    for update in range(1, 8):
        before.add(report(update, [("bigfish", float(update), update)]))
    before.row()
    before.add(report(8, [("bigfish", 3.0, 2)], loss=0.5))  # of a row that goes on
    after = metrics()
    after.load(json.loads(json.dumps(before.state())), before.frames, before.version)
    for each in (before, after):
        each.add(report(9, [("maze", 6.0, 3), ("bigfish", 8.0, 1)], loss=1.5))
    wanted, found = before.row(), after.row()
    assert wanted["loss/total"] == 1.0
    for clock in ("throughput/acting", "throughput/learning"):  # of the reports' own times
        assert found[clock] == wanted[clock]
    assert without_clock([found]) == without_clock([wanted])
    assert found["time/elapsed"] == pytest.approx(wanted["time/elapsed"], abs=0.1)


# ------------------------------------------------------------------------------------- files


@pytest.fixture(params=[["bigfish", "maze"], ["memory/TMaze-8"]], ids=["games", "id"])
def written(request, tmp_path):
    """A run folder with two rows, and those rows."""
    tree = {"total_frames": 100, "envs": {"tasks": request.param}}
    config = parse_config(changed(tree, launch__envs_per_worker=2), [], "test")
    run = RunFolder(tmp_path / "run")
    run.create(config)
    collected = PolicyMetrics(config.envs, 1, T)
    dashboard = Dashboard(
        run,
        config,
        policy_view(config.envs, False, memory_names(build_agent(config), config.envs)),
    )
    made = []
    for update in (1, 2):
        collected.add(report(update, [(t, 7.25, 3) for t in config.envs.tasks], loss=update / 4))
        made.append(collected.row())
        dashboard.write(made[-1])
    dashboard.close()
    return run, config, made


def events_of(run):
    events = EventAccumulator(str(run), size_guidance={"scalars": 0, "tensors": 0})
    events.Reload()
    return events


def test_the_jsonl_file_holds_the_rows(written):
    run, _, made = written
    assert rows(run.path) == made


def test_tensorboard_shows_the_same_numbers_under_the_same_names(written):
    run, _, made = written
    events = events_of(run.path)
    assert set(events.Tags()["scalars"]) == set(made[0]) - {"frames"}
    for tag in events.Tags()["scalars"]:
        found = [(event.step, event.value) for event in events.Scalars(tag)]
        assert found == [(row["frames"], pytest.approx(row[tag])) for row in made]


def test_tensorboard_shows_the_hyper_parameters_beside_the_scores(written):
    run, config, made = written
    found = events_of(run.path)
    pages = {tag: data.plugin_data for tag, data in found.summary_metadata.items()}
    data = {
        tag.removeprefix("_hparams_/"): HParamsPluginData.FromString(page.content)
        for tag, page in pages.items()
        if page.plugin_name == "hparams"
    }
    values = data["session_start_info"].session_start_info.hparams
    assert values["learner.unroll_length"].string_value == str(config.learner.unroll_length)
    assert values["agent.core"].string_value == "srwm"
    assert "run_dir" not in values
    scores = [info.name.tag for info in data["experiment"].experiment.metric_infos]
    assert scores[-1] == f"return/{config.envs.tasks[-1]}"
    assert (scores[0] == "return_normalised/mean") == config.envs.is_procgen
    assert set(scores) <= set(made[0])


def test_tensorboard_shows_how_the_run_was_started(trained_procgen):
    (event,) = events_of(trained_procgen).Tensors("start/text_summary")
    text = event.tensor_proto.string_val[0].decode()
    (start,) = read_starts(trained_procgen)
    assert {"command", "host", "commit", "torch"} <= set(start)
    for name, value in start.items():
        assert f"    {name}: {value}" in text.splitlines()


def test_the_prepared_charts_are_there_and_name_tags_that_exist(written):
    run, config, made = written
    (event,) = events_of(run.path).Tensors("custom_scalars__config__")
    charts_of = layout_pb2.Layout.FromString(event.tensor_proto.string_val[0])
    titles = ["Overview"] if config.envs.is_procgen else []  # of what has a published range
    assert [category.title for category in charts_of.category] == [
        *titles,
        *("Games", "Learning", "Flow", "Memory"),
    ]
    charts = {chart.title: chart for category in charts_of.category for chart in category.chart}
    for task in config.envs.tasks:
        (drawn,) = charts[f"{task}: return"].multiline.tag
        assert drawn == f"return/{task}"
        assert drawn in made[0]
    assert "throughput/total" in charts["frames per second"].multiline.tag


def test_the_charts_draw_nothing_that_a_run_does_not_write(trained_procgen):
    (event,) = events_of(trained_procgen).Tensors("custom_scalars__config__")
    charts_of = layout_pb2.Layout.FromString(event.tensor_proto.string_val[0])
    drawn = {
        tag
        for category in charts_of.category
        for chart in category.chart
        for tag in chart.multiline.tag
    }
    written = {name for row in rows(trained_procgen) for name in row}
    # Short as the run is, no episode of a game need have ended in it.
    late = {tag for tag in drawn if tag.startswith(("return", "length"))}
    assert drawn - late <= written


def test_a_chart_of_the_memory_has_all_heads_of_a_layer(trained_tmaze):
    (event,) = events_of(trained_tmaze).Tensors("custom_scalars__config__")
    categories = layout_pb2.Layout.FromString(event.tensor_proto.string_val[0]).category
    (memory,) = [category for category in categories if category.title == "Memory"]
    charts = {chart.title: list(chart.multiline.tag) for chart in memory.chart}
    assert [*charts] == [
        "entropy of the keys (1: uniform)",
        "entropy of the queries (1: uniform)",
        "relative change of the weights in a step",
        "layer1, relative distance of the rows from their initial draw",
        "layer1, gradient of the rows (root mean square)",
        "layer1, learning rate, y",
        "layer1, learning rate, q",
        "layer1, learning rate, k",
        "layer1, learning rate, beta",
        "layer1, norm of the carried shift",
        "layer1, entropy of the keys (nats)",
        "layer1, entropy of the queries (nats)",
    ]
    assert charts["layer1, learning rate, q"] == [
        "memory/layer1/head1/rate_q",
        "memory/layer1/head2/rate_q",
    ]
    (row, *_) = rows(trained_tmaze)
    assert {tag for tags in charts.values() for tag in tags} == {
        name for name in row if name.startswith("memory/")
    }
    assert all(0 < row[tag] < 1 for tag in charts["layer1, learning rate, q"])


def test_the_summary_of_all_layers_comes_before_the_heads():
    config = parse_config(changed(TMAZE, agent__srwm__layers=2), [], "test")
    names = memory_names(build_agent(config), config.envs)
    charts = policy_view(GAMES, False, names).charts["Memory"]
    assert sorted(tag for _, tags in charts.values() for tag in tags) == sorted(names)
    assert [*charts][:7] == [
        "entropy of the keys (1: uniform)",
        "entropy of the queries (1: uniform)",
        "relative change of the weights in a step",
        "layer1, relative distance of the rows from their initial draw",
        "layer1, gradient of the rows (root mean square)",
        "layer2, relative distance of the rows from their initial draw",
        "layer2, gradient of the rows (root mean square)",
    ]
    assert charts["relative change of the weights in a step"] == [
        "Multiline",
        ["memory/layer1/change", "memory/layer2/change"],
    ]
    assert charts["layer2, relative distance of the rows from their initial draw"] == [
        "Multiline",
        [f"memory/layer2/moved_{block}" for block in ("y", "q", "k", "beta")],
    ]
    assert all("/head" in tag for _, tags in [*charts.values()][7:] for tag in tags)


def test_there_are_no_charts_of_a_memory_that_does_not_rewrite_itself():
    assert "Memory" not in policy_view(GAMES, False, []).charts


def test_a_resumed_run_looks_at_the_memory_when_an_uninterrupted_one_does(tmp_path, monkeypatch):
    monkeypatch.setattr("learners.impala.learner.INTROSPECT_EVERY", 3)
    run = train(tmp_path, TMAZE, "run")
    looked = ["memory/layer1/head1/shift" in row for row in rows(run)]
    updates = [0, *(int(row["updates"]) for row in rows(run))]
    assert looked == [
        any(update % 3 == 0 for update in range(*between)) for between in pairwise(updates)
    ]
    assert len(set(looked)) == 2
    assert_resumes_as_uninterrupted(run, tmp_path / "resumed", middle=100, last=400)


def test_the_config_can_be_read_in_tensorboard(written):
    run, _, _ = written
    (event,) = events_of(run.path).Tensors("config/text_summary")
    assert b"total_frames: 100" in event.tensor_proto.string_val[0]


def test_superseded_rows_are_set_aside(tmp_path):
    file = tmp_path / "metrics.jsonl"
    lines = [json.dumps({"frames": frames, "x": frames / 3}) + "\n" for frames in (10, 20, 30, 40)]
    file.write_text("".join(lines) + '{"frames": 50, "x"')
    set_aside_after(file, 20)
    assert file.read_text() == "".join(lines[:2])
    aside = tmp_path / "metrics.superseded-0.jsonl"
    assert aside.read_text() == "".join(lines[2:]) + '{"frames": 50, "x"'
    # A second time it has another name; with nothing to set aside nothing happens.
    set_aside_after(file, 20)
    assert sorted(path.name for path in tmp_path.iterdir()) == [file.name, aside.name]
    set_aside_after(file, 10)
    assert file.read_text() == lines[0]
    assert (tmp_path / "metrics.superseded-1.jsonl").read_text() == lines[1]
    assert aside.read_text().startswith(lines[2])
