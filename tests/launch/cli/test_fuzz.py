"""Whatever is typed or read: exit status 0, or 2 and one line on standard error."""

import functools
import shutil
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from launch import api
from launch.config import reference
from launch.config.source import dump_config, load_any_config, parse_config, read_yaml
from launch.errors import UserError
from launch.paths import expand
from launch.run.folder import RunFolder
from tests.launch.cli import fuzz
from tests.launch.runs import TMAZE, copy_run, main, write_config

FEW = settings(
    derandomize=True,  # the same cases every time
    database=None,
    deadline=None,
    max_examples=80,
    suppress_health_check=[*HealthCheck],
)
MANY = settings(FEW, max_examples=1250)

# What would measure, play or train for long.
LONG = [
    *("launch.prepare.prepare", "launch.sweep.recall.run_grid", "launch.play.trace.record"),
    *("launch.bench.core.core_speed", "launch.bench.scale.scale", "launch.play.evaluate.play"),
    *("launch.prepare.check_fewshot", "launch.bench.prototypes.prototype_score"),
    "launch.play.record.record_screen",
]


def ends_here(*_, **__):
    raise UserError("it would begin here")


def train(config, name, console, auto_resume, own_process):
    """Do all of a run but its training: name its folder, and write what it would go on from."""
    run = RunFolder.new(config, name)
    assert same(parse_config(read_yaml_text(dump_config(config)), [], "dumped"), config)
    path = Path(expand(str(run.path)))
    if not path.is_absolute() and ".." not in path.parts:
        run.create(config)
        assert same(load_any_config(str(run.config_file)), config)
    console.print(f"run folder: {run.path}")


def read_yaml_text(text):
    file = Path("dumped.yaml")
    file.write_text(text)
    return read_yaml(file)


def same(one, other):
    """Compare as text: NaN is not equal to itself."""
    return repr(one) == repr(other)


def resume(path, overrides, console, own_process):
    """Read all that a run goes on from."""
    RunFolder.open_any(path, overrides)[0].newest_checkpoint()


@pytest.fixture
def ends_well(monkeypatch, capsys, tmp_path, trained_tmaze):
    """Return a function that runs a command in a fresh folder and checks how it ends."""
    monkeypatch.setattr(api, "train", train)
    monkeypatch.setattr(api, "resume", resume)
    monkeypatch.setattr("launch.machine.doctor.examine", lambda: [])
    # Reading the schema for a hint takes longer than all else.
    monkeypatch.setattr(reference, "all_keys", functools.cache(reference.all_keys))
    for name in LONG:
        monkeypatch.setattr(name, ends_here)
    run = copy_run(trained_tmaze, tmp_path.with_name(f"{tmp_path.name}-run"))

    def ends_well(*arguments, file=None):
        for path in tmp_path.iterdir():
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
        (tmp_path / "run").symlink_to(run)
        (tmp_path / "empty").mkdir()
        (tmp_path / "file").write_text("text")
        (tmp_path / "ends.py").write_text("raise SystemExit(3)")
        (tmp_path / "fails.py").write_text("raise OSError('no\\nway')")
        write_config(tmp_path / "f.yaml", fuzz.FEWSHOT)
        write_config(tmp_path / "c.yaml", TMAZE)
        if file is not None:
            (tmp_path / "c.yaml").write_bytes(file)
        capsys.readouterr()
        status = main(*arguments)
        printed = capsys.readouterr()
        assert status in (0, 2), printed.err
        if status == 2:
            assert printed.err.startswith("srwm: ")
            assert printed.err.endswith("\n")
            assert len(printed.err.splitlines()) == 1
        assert "Traceback" not in printed.err + printed.out
        assert not (tmp_path / "canary").exists()

    return ends_well


FILE_COMMANDS = st.sampled_from(
    [
        *(["train", "c.yaml"], ["fewshot", "c.yaml"], ["config", "c.yaml"]),
        *(
            ["config", "c.yaml", "--json"],
            ["deploy", "slurm", "c.yaml"],
            ["bench", "e2e", "c.yaml"],
        ),
    ]
)


OVERRIDES = st.lists(fuzz.overrides(), min_size=1, max_size=3)
OF_EITHER_KIND = st.sampled_from([("train", "c.yaml"), ("fewshot", "f.yaml")])


# Each was a traceback once, or did not end.
ARGUMENTS = [
    ["train", "a" * 300],
    ["train", "~\udcff/x"],
    ["config", "a" * 5000],
    ["eval", "a" * 300],
    ["replay", "a" * 300],
    ["eval", "run", "--checkpoint", "9" * 5000],
    ["eval", "run", "--seed", "9" * 30],
    ["doctor", "--seconds", "nan"],
    ["doctor", "--seconds", "inf"],
    ["deploy", "slurm", "c.yaml", "--nodes", "9" * 3000, "--cpus", "9" * 3000],
    ["deploy", "slurm", "c.yaml", "launch.mode=ray", "--out", "a" * 300],
    ["deploy", "slurm", "c.yaml", "launch.mode=ray", "run_dir=\udcff", "--out", "x"],
    ["train", "c.yaml", "run_dir='[/b]'"],
    ["train", "c.yaml", "run_dir='" + "a" * 300 + "'", "--auto-resume"],
    ["train", "c.yaml", "total_frames=-0x" + "f" * 6000],
    ["train", "c.yaml", "total_frames=0x" + "f" * 6000],
    ["train", "c.yaml", "total_frames=" + "[" * fuzz.DEEP],
    ["train", "c.yaml", "total_frames=!!int ''"],
    ["train", "c.yaml", "seed=!!timestamp now"],
    ["train", "c.yaml", "a." * fuzz.DEEP + "a=1"],
    ["train", "c.yaml", "episodes=null"],
    ["train", "c.yaml", "imports=[ends]"],
    ["train", "c.yaml", "envs.tasks=['ends:x']"],
]
FILES = [
    b"\xff\xfe",
    b"total_frames: " + b"[" * fuzz.DEEP,
    b"envs: &a [*a]",
    b"envs:\n  tasks: " + fuzz.BILLIONS.encode(),
    b'{total_frames: 9, envs: {tasks: [maze]}, run_dir: "a\\0b"}',
    b'{total_frames: 9, envs: {tasks: [maze]}, run_dir: "\\ud800"}',
    b'{total_frames: 9, envs: {tasks: [maze]}, run_dir: "~\\0/x"}',
]


@pytest.mark.parametrize("arguments", ARGUMENTS, ids=range(len(ARGUMENTS)))
def test_arguments_that_were_at_fault(arguments, ends_well):
    ends_well(*arguments)


@pytest.mark.parametrize("content", FILES, ids=range(len(FILES)))
def test_files_that_were_at_fault(content, ends_well):
    ends_well("train", "c.yaml", file=content)


@FEW
@given(arguments=fuzz.commands())
def test_arguments(arguments, ends_well):
    ends_well(*arguments)


@FEW
@given(command=OF_EITHER_KIND, overrides=OVERRIDES)
def test_overrides(command, overrides, ends_well):
    ends_well(*command, *overrides)


@FEW
@given(command=FILE_COMMANDS, content=fuzz.tree_files())
def test_files_of_other_values(command, content, ends_well):
    ends_well(*command, file=content)


@FEW
@given(command=FILE_COMMANDS, content=fuzz.text_files())
def test_files_of_other_text(command, content, ends_well):
    ends_well(*command, file=content)


@pytest.mark.slow
@MANY
@given(arguments=fuzz.commands())
def test_many_arguments(arguments, ends_well):
    ends_well(*arguments)


@pytest.mark.slow
@MANY
@given(command=OF_EITHER_KIND, overrides=OVERRIDES)
def test_many_overrides(command, overrides, ends_well):
    ends_well(*command, *overrides)


@pytest.mark.slow
@MANY
@given(command=FILE_COMMANDS, content=fuzz.tree_files())
def test_many_files_of_other_values(command, content, ends_well):
    ends_well(*command, file=content)


@pytest.mark.slow
@MANY
@given(command=FILE_COMMANDS, content=fuzz.text_files())
def test_many_files_of_other_text(command, content, ends_well):
    ends_well(*command, file=content)
