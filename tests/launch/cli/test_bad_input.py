"""Bad input ends in one line that names what is wrong, status 2, and nothing changed on disk."""

import os
import subprocess
import sys

import pytest

from tests.launch.runs import (
    ROOT,
    TMAZE,
    checkpoints,
    copy_run,
    damage,
    main,
    write_config,
)
from tests.launch.runs import checkpoint as checkpoint_of


def small_config(folder, _):
    """Put c.yaml there, whose run would be the folder `new`."""
    write_config(folder / "c.yaml", {**TMAZE, "run_dir": "new"})


def run_folder(folder, trained):
    copy_run(trained, folder / "run")


def broken_yaml(folder, _):
    (folder / "c.yaml").write_text("envs: {tasks: [maze\nlearner: }\n")


def yaml_list(folder, _):
    (folder / "c.yaml").write_text("- total_frames\n- envs\n")


def key_twice(folder, _):
    (folder / "c.yaml").write_text("seed: 1\nenvs: {tasks: [maze]}\nseed: 2\n")


def nested_key_twice(folder, _):
    (folder / "c.yaml").write_text("envs:\n  tasks: [maze]\n  tasks: [heist]\n")


def binary_file(folder, _):
    (folder / "c.yaml").write_bytes(b"\xff\xfe\x00\x80")


def no_tasks_key(folder, _):
    (folder / "c.yaml").write_text("total_frames: 100\nenvs: {}\n")


def below_a_file(folder, trained):
    small_config(folder, trained)
    (folder / "file").write_text("not a folder")


def config_and_run(folder, trained):
    small_config(folder, trained)
    run_folder(folder, trained)


def plain_folder(folder, _):
    (folder / "run").mkdir()


def all_checkpoints_damaged(folder, trained):
    run = copy_run(trained, folder / "run")
    for frames in checkpoints(run):
        damage(checkpoint_of(run, frames))


def no_checkpoints(folder, trained):
    copy_run(trained, folder / "run", until=0)


def other_core_in_the_runs_config(folder, trained):
    file = copy_run(trained, folder / "run") / "config.yaml"
    file.write_text(file.read_text().replace("core: srwm", "core: lstm"))


def other_size_in_the_runs_config(folder, trained):
    file = copy_run(trained, folder / "run") / "config.yaml"
    file.write_text(file.read_text().replace("layers: 1", "layers: 2"))


def invalid_value_in_the_runs_config(folder, trained):
    file = copy_run(trained, folder / "run") / "config.yaml"
    file.write_text(file.read_text().replace("batch_size: 4", "batch_size: four"))


# What is there before, what is typed, and what the line has to say.
TRAIN = ["train", "c.yaml"]
RESUME = ["train", "--resume", "run"]
(TMAZE_ID,) = TMAZE["envs"]["tasks"]
CASES = {
    # keys and values of a configuration
    "unknown key": (
        small_config,
        [*TRAIN, "frames=3"],
        ["frames", "no such key; did you mean total_frames?\n"],
    ),
    "unknown nested key": (
        small_config,
        [*TRAIN, "learner.lr=0.1"],
        ["learner.lr: there is no such key; did you mean learner.learning_rate?\n"],
    ),
    "unknown section": (
        small_config,
        [*TRAIN, "optimizer.lr=0.1"],
        ["optimizer: there is no such key; did you mean learner.optimiser?\n"],
    ),
    "unknown section with a known key": (
        small_config,
        [*TRAIN, "qwertz.lr=0.1"],
        ["qwertz: there is no such key; did you mean learner.learning_rate?\n"],
    ),
    "unknown key of a section of a section": (
        small_config,
        [*TRAIN, "agent.srwm.hiden_size=8"],
        ["agent.srwm.hiden_size: there is no such key; did you mean agent.srwm.hidden_size?\n"],
    ),
    "unknown key that resembles none": (
        small_config,
        [*TRAIN, "qwertz=3"],
        ["qwertz: there is no such key\n"],
    ),
    "key below a value": (
        small_config,
        [*TRAIN, "total_frames.x=1"],
        ["total_frames.x=1", "not a section"],
    ),
    "text for a number": (
        small_config,
        [*TRAIN, "learner.learning_rate=fast"],
        ["learner.learning_rate", "'fast'"],
    ),
    "fraction for a count": (
        small_config,
        [*TRAIN, "learner.batch_size=2.5"],
        ["learner.batch_size", "2.5"],
    ),
    "fraction with an exponent for a count": (
        small_config,
        [*TRAIN, "learner.batch_size=1.55e1"],
        ["learner.batch_size", "15.5"],
    ),
    "truth for a count": (
        small_config,
        [*TRAIN, "learner.unroll_length=true"],
        ["learner.unroll_length", "True"],
    ),
    "value for a section": (small_config, [*TRAIN, "learner=5"], ["learner", "5"]),
    "no frames": (small_config, [*TRAIN, "total_frames=0"], ["total_frames", "not 0"]),
    "negative learning rate": (
        small_config,
        [*TRAIN, "learner.learning_rate=-1e-3"],
        ["learner.learning_rate", "-0.001"],
    ),
    "infinite learning rate": (
        small_config,
        [*TRAIN, "learner.learning_rate=.inf"],
        ["learner.learning_rate", "inf"],
    ),
    "discount above 1": (
        small_config,
        [*TRAIN, "learner.discount=1.5"],
        ["learner.discount", "1.5"],
    ),
    "empty batch": (
        small_config,
        [*TRAIN, "learner.batch_size=0"],
        ["learner.batch_size", "not 0"],
    ),
    "batch that the learners cannot share": (
        small_config,
        [*TRAIN, "learner.devices=3", "launch.mode=ray"],
        ["learner", "batch_size 4", "devices 3"],
    ),
    "several learners in one process": (
        small_config,
        [*TRAIN, "learner.devices=2"],
        ["learner.devices 2", "launch.mode ray"],
    ),
    "several learners on one GPU": (
        small_config,
        [*TRAIN, "learner.devices=2", "launch.mode=ray", "launch.learner_gpus=0.5"],
        ["launch.learner_gpus 0.5", "a whole GPU each"],
    ),
    "threads of environments that have none": (
        small_config,
        [*TRAIN, "envs.threads=2"],
        ["threads 2", "ProcGen"],
    ),
    "address where nobody answers": (
        small_config,
        [*TRAIN, "launch.mode=ray", "launch.address=127.0.0.1:1"],
        ["launch.address", "'127.0.0.1:1'", "HOST:PORT"],
    ),
    "address that is none": (
        small_config,
        [*TRAIN, "launch.mode=ray", "launch.address=here"],
        ["launch.address", "'here'", "HOST:PORT"],
    ),
    "no number of workers": (
        small_config,
        [*TRAIN, "launch.workers=0"],
        ["launch.workers: needs a whole number greater than 0, or auto, not 0\n"],
    ),
    "text for a number of environments": (
        small_config,
        [*TRAIN, "launch.envs_per_worker=many"],
        ["launch.envs_per_worker: ", "or auto, not 'many'\n"],
    ),
    "auto on a cluster": (
        small_config,
        [*TRAIN, "launch.mode=ray", "launch.address=auto", "launch.envs_per_worker=auto"],
        ["launch.envs_per_worker: auto measures this machine", "launch.address"],
    ),
    "negative seed": (small_config, [*TRAIN, "seed=-1"], ["seed", "-1"]),
    "unknown core": (
        small_config,
        [*TRAIN, "agent.core=gru"],
        ["agent.core", "'gru'", "feedforward, lstm, delta, fake_srwm, srwm"],
    ),
    "unknown encoder": (
        small_config,
        [*TRAIN, "agent.encoder=resnet"],
        ["agent.encoder", "'resnet'", "impala"],
    ),
    "heads that do not divide": (
        small_config,
        [*TRAIN, "agent.srwm.heads=3"],
        ["agent.srwm", "hidden_size 16", "heads 3"],
    ),
    "unknown mode": (
        small_config,
        [*TRAIN, "launch.mode=slurm"],
        ["launch.mode", "'slurm'", "'ray'", "'local'"],
    ),
    # tasks
    "misspelt game": (small_config, [*TRAIN, "envs.tasks=[bigfsh]"], ["'bigfsh'", "'bigfish'"]),
    "unknown task module": (
        small_config,
        [*TRAIN, "envs.tasks=['no_such_module:X-v0']"],
        ["envs.tasks", "no_such_module"],
    ),
    "mode that a game lacks": (
        small_config,
        [*TRAIN, "envs.tasks=[bigfish]", "envs.distribution_mode=memory"],
        ["distribution_mode", "'memory'", "'bigfish'", "easy, hard"],
    ),
    "levels of what has none": (
        small_config,
        [*TRAIN, "envs.num_levels=7"],
        ["num_levels", "7", "ProcGen"],
    ),
    "empty tasks": (small_config, [*TRAIN, "envs.tasks=[]"], ["envs.tasks", "at least one"]),
    "tasks not a list": (small_config, [*TRAIN, "envs.tasks=maze"], ["envs.tasks", "'maze'"]),
    "no tasks": (no_tasks_key, TRAIN, ["envs.tasks", "required"]),
    "duplicate tasks": (
        small_config,
        [*TRAIN, "envs.tasks=[maze, maze]"],
        ["envs.tasks", "'maze'", "twice"],
    ),
    "tasks that do not mix": (
        small_config,
        [*TRAIN, "envs.tasks=[maze, 'memory/TMaze-8']"],
        ["'maze'", "'memory/TMaze-8'"],
    ),
    "tasks with other observations": (
        small_config,
        [*TRAIN, "envs.tasks=['memory/TMaze-8', 'tests.worlds:Counting-v0']"],
        ["observation_shape", "(4,)", "(3,)"],
    ),
    "tasks that do not divide the environments": (
        small_config,
        [*TRAIN, "envs.tasks=[maze, heist, miner, jumper]"],
        ["launch.envs_per_worker", "6", "multiple of 4"],
    ),
    "image encoder on flat observations": (
        small_config,
        [*TRAIN, "agent.encoder=impala"],
        ["agent.encoder", "'impala'", "[4]", "'mlp'"],
    ),
    # files and words
    "minutes that are no number": (
        small_config,
        ["chaos", "c.yaml", "--minutes", "nan", "--out", "a.json"],
        ["--minutes", "nan"],
    ),
    "no config file": (small_config, ["train", "nope.yaml"], ["'nope.yaml'", "quickstart"]),
    "no config": (small_config, ["train"], ["CONFIG", "found 0"]),
    "two configs": (small_config, [*TRAIN, "quickstart"], ["CONFIG", "found 2"]),
    "malformed YAML": (broken_yaml, TRAIN, ["c.yaml", "YAML", "line 2"]),
    "key that is there twice": (key_twice, TRAIN, ["c.yaml", "'seed'", "twice", "line 1"]),
    "nested key that is there twice": (
        nested_key_twice,
        TRAIN,
        ["c.yaml", "'tasks'", "twice", "line 2"],
    ),
    "YAML list": (yaml_list, TRAIN, ["c.yaml", "key: value", "list"]),
    "binary file": (binary_file, TRAIN, ["c.yaml", "cannot be read"]),
    "override without =": (small_config, [*TRAIN, "learner.batch_size"], ["CONFIG", "found 2"]),
    "override without a key": (small_config, [*TRAIN, "=5"], ["'=5'", "key=value"]),
    "override with an empty part": (small_config, [*TRAIN, "learner..x=5"], ["'learner..x=5'"]),
    "override that is no YAML": (small_config, [*TRAIN, "envs.tasks=[maze"], ["'[maze'", "YAML"]),
    "run folder below a file": (
        below_a_file,
        [*TRAIN, "run_dir=file/run"],
        ["run_dir: file/run"],
    ),
    "run folder is a file": (below_a_file, [*TRAIN, "run_dir=file"], ["run_dir: file"]),
    "run folder in use": (
        config_and_run,
        [*TRAIN, "run_dir=run"],
        ["run_dir", "already holds a run", "--resume run"],
    ),
    "unknown command": (small_config, ["trian", "c.yaml"], ["'trian'"]),
    "unknown option": (small_config, [*TRAIN, "--fast"], ["--fast"]),
    "key as an option": (
        small_config,
        [*TRAIN, "--seed", "3"],
        ["--seed: there is no such option; did you mean seed=3?\n"],
    ),
    "key with its value as an option": (
        small_config,
        [*TRAIN, "--learner.batch-size=8"],
        ["--learner.batch-size", "did you mean learner.batch_size=8?\n"],
    ),
    "explanation of an unknown key": (
        small_config,
        ["config", "learner.lr"],
        ["'learner.lr'", "as a key, did you mean learner.learning_rate?\n"],
    ),
    "value for the explanation of a key": (
        small_config,
        ["config", "seed", "seed=3"],
        ["'seed=3'", "needs a CONFIG", "'seed' is a key"],
    ),
    "print of an invalid configuration": (
        small_config,
        ["config", "c.yaml", "seed=-1"],
        ["seed", "-1"],
    ),
    "option without its value": (small_config, ["train", "--resume"], ["--resume"]),
    # resume
    "resume of nothing": (small_config, RESUME, ["run", "not a run folder"]),
    "resume of a plain folder": (plain_folder, RESUME, ["run", "config.yaml"]),
    "resume with a config": (config_and_run, [*RESUME, "c.yaml"], ["'c.yaml'", "--resume"]),
    "resume without a checkpoint": (no_checkpoints, RESUME, ["run", "no checkpoint"]),
    "resume with all checkpoints damaged": (
        all_checkpoints_damaged,
        RESUME,
        ["run", "no checkpoint"],
    ),
    "resume with another core": (
        run_folder,
        [*RESUME, "agent.core=lstm"],
        ["agent.core", "cannot change"],
    ),
    "resume with another section": (run_folder, [*RESUME, "agent={}"], ["agent", "cannot change"]),
    "resume of other tasks": (
        run_folder,
        [*RESUME, "envs.tasks=[maze]"],
        ["envs.tasks", "cannot change"],
    ),
    "resume with another section of tasks": (
        run_folder,
        [*RESUME, "envs={tasks: [maze]}"],
        ["envs", "cannot change"],
    ),
    "date that does not exist": (
        small_config,
        [*TRAIN, "log_every_frames=2001-13-45"],
        ["log_every_frames", "2001-13-45"],
    ),
    "resume with another seed": (run_folder, [*RESUME, "seed=5"], ["seed", "cannot change"]),
    "resume of what was edited to another core": (
        other_core_in_the_runs_config,
        RESUME,
        ["another network"],
    ),
    "resume of what was edited to another size": (
        other_size_in_the_runs_config,
        RESUME,
        ["another network"],
    ),
    "resume of what was edited to be invalid": (
        invalid_value_in_the_runs_config,
        RESUME,
        ["config.yaml", "learner.batch_size", "'four'"],
    ),
    "resume with an invalid override": (
        run_folder,
        [*RESUME, "total_frames=-1"],
        ["total_frames", "-1"],
    ),
    # evaluation
    "evaluation of nothing": (small_config, ["eval", "run"], ["run", "not a run folder"]),
    "evaluation without a checkpoint": (no_checkpoints, ["eval", "run"], ["no checkpoint"]),
    "evaluation of another network": (
        other_core_in_the_runs_config,
        ["eval", "run"],
        ["another network"],
    ),
    "unknown split": (
        run_folder,
        ["eval", "run", "--split", "tset"],
        ["'tset'", "train", "test1"],
    ),
    "split that the task lacks": (
        run_folder,
        ["eval", "run", "--split", "test1"],
        ["'test1'", "ProcGen"],
    ),
    "no episodes": (run_folder, ["eval", "run", "--episodes", "0"], ["--episodes", "0"]),
    "figures into no folder": (
        run_folder,
        ["eval", "run", "--episodes", "1", "--json", "none/a.json"],
        ["none/a.json"],
    ),
    # trace
    "trace of nothing": (
        small_config,
        ["trace", "run", "--task", "x", "--out", "a"],
        ["run", "not a run folder"],
    ),
    "trace without a checkpoint": (
        no_checkpoints,
        ["trace", "run", "--task", TMAZE_ID, "--out", "a"],
        ["no checkpoint"],
    ),
    "trace of a task that the run does not train on": (
        run_folder,
        ["trace", "run", "--task", "memory/Tmaze-8", "--out", "a"],
        ["'memory/Tmaze-8'", f"'{TMAZE_ID}'"],
    ),
    "trace on an unknown split": (
        run_folder,
        ["trace", "run", "--task", TMAZE_ID, "--split", "tset", "--out", "a"],
        ["'tset'", "train, validation, test1"],
    ),
    "trace into no folder": (
        run_folder,
        ["trace", "run", "--task", TMAZE_ID, "--out", "none/a.png"],
        ["--out none/a.png", "none is not a folder"],
    ),
    "trace onto a folder": (
        run_folder,
        ["trace", "run", "--task", TMAZE_ID, "--out", "run"],
        ["--out", "'run' is a directory"],
    ),
    "trace without a task": (run_folder, ["trace", "run", "--out", "a"], ["--task"]),
    # benchmark
    "benchmark of nothing": (small_config, ["bench", "e2e", "nope"], ["'nope'"]),
    "benchmark of no time": (
        small_config,
        ["bench", "e2e", "c.yaml", "--seconds", "0"],
        ["--seconds"],
    ),
    "benchmark of an unknown key": (
        small_config,
        ["bench", "e2e", "c.yaml", "frames=3"],
        ["frames", "no such key"],
    ),
    "learner's benchmark of an unknown key": (
        small_config,
        ["bench", "learner", "c.yaml", "frames=3"],
        ["frames", "no such key"],
    ),
    "learner's benchmark into no folder": (
        small_config,
        ["bench", "learner", "c.yaml", "--json", "none/l.json"],
        ["--json none/l.json", "none is not a folder"],
    ),
    "no workers": (small_config, ["bench", "scale", "--workers", "4,0"], ["--workers '4,0'"]),
    "workers that are no number": (
        small_config,
        ["bench", "scale", "--workers", "4,many"],
        ["--workers '4,many'", "such as 1,8,64"],
    ),
}


def listing(folder):
    return {
        str(path.relative_to(folder)): (path.is_dir(), path.stat().st_size, path.stat().st_mtime_ns)
        for path in folder.rglob("*")
    }


def assert_refused(status, error, words):
    assert status == 2
    assert error.startswith("srwm: ")
    assert error.count("\n") == 1
    assert error.endswith("\n")
    assert "Traceback" not in error
    for word in words:
        assert word in error


@pytest.mark.parametrize(("before", "arguments", "words"), CASES.values(), ids=CASES.keys())
def test_bad_input_is_refused_in_one_line(
    before, arguments, words, tmp_path, trained_tmaze, capsys
):
    before(tmp_path, trained_tmaze)
    there = listing(tmp_path)
    capsys.readouterr()
    status = main(*arguments)
    assert_refused(status, capsys.readouterr().err, words)
    assert listing(tmp_path) == there


@pytest.mark.parametrize(
    "name", ["misspelt game", "unknown option", "run folder below a file", "resume of nothing"]
)
def test_bad_input_is_refused_by_the_real_program(name, tmp_path):
    before, arguments, words = CASES[name]
    before(tmp_path, None)
    there = listing(tmp_path)
    ended = subprocess.run(
        [sys.executable, "-m", "launch", *arguments],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"},
    )
    assert_refused(ended.returncode, ended.stderr, words)
    assert ended.stdout == ""
    assert listing(tmp_path) == there


@pytest.mark.parametrize("arguments", [[], ["bench"], ["--help"], ["train", "-h"]])
def test_help_is_no_error(arguments, capsys):
    assert main(*arguments) == 0
    printed = capsys.readouterr()
    assert printed.err == ""
    assert len(printed.out.splitlines()) > 5
