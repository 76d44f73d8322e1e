"""Each invariant, on a run folder that breaks it and no other."""

import json

import pytest

from launch.chaos.invariants import check_run
from launch.run.folder import RunFolder
from tests.launch.runs import TMAZE, checkpoint, checkpoints, copy_run, damage, rows

FRAMES = TMAZE["learner"]["unroll_length"] * TMAZE["learner"]["batch_size"]
TOTAL = TMAZE["total_frames"]


def write_rows(run, table):
    text = "".join(json.dumps(row) + "\n" for row in table)
    (run / "metrics.jsonl").write_text(text)


def a_row_is_there_twice(run):
    table = rows(run)
    write_rows(run, [*table[:5], *table[4:]])


def frames_go_back(run):
    table = rows(run)
    write_rows(run, [*table[:4], table[2], *table[5:]])


def a_batch_is_counted_twice(run):
    table = rows(run)
    write_rows(run, [*table[:3], *({**row, "frames": row["frames"] + FRAMES} for row in table[3:])])


def a_version_stands_still(run):
    table = rows(run)
    # Versions with gaps, as a run has whose learner was restarted; one of them is there twice.
    write_rows(run, [{**row, "updates": 100 + max(i, 4)} for i, row in enumerate(table)])


def a_checkpoint_is_damaged(run):
    damage(checkpoint(run, checkpoints(run)[0]))


def a_checkpoint_has_the_wrong_name(run):
    checkpoint(run, checkpoints(run)[0]).rename(checkpoint(run, 60))


def the_last_rows_are_missing(run):
    write_rows(run, rows(run)[:-2])


def the_last_checkpoint_is_missing(run):
    last = checkpoint(run, TOTAL)
    last.rename(run / "elsewhere")


def a_save_was_interrupted(run):
    (run / "checkpoints" / ".000000000500.tmp").mkdir()


def a_row_is_cut_off(run):
    with (run / "metrics.jsonl").open("a") as file:
        file.write('{"frames": 4')


BREAKS = {
    a_row_is_there_twice: ["frames are counted once", "weight versions rise"],
    frames_go_back: ["frames are counted once", "weight versions rise"],
    a_batch_is_counted_twice: ["frames are counted once"],
    a_version_stands_still: ["weight versions rise"],
    a_checkpoint_is_damaged: ["checkpoints can be loaded"],
    a_checkpoint_has_the_wrong_name: ["checkpoints can be loaded"],
    the_last_rows_are_missing: ["final frames are reached"],
    the_last_checkpoint_is_missing: ["final frames are reached"],
    a_save_was_interrupted: ["nothing unfinished in the run folder"],
    a_row_is_cut_off: ["metrics can be read"],
}


def broken(run):
    verdicts = check_run(RunFolder(run), TOTAL, FRAMES)
    return [verdict.invariant for verdict in verdicts if not verdict.holds]


def test_a_run_keeps_all_of_them(trained_tmaze):
    assert len(check_run(RunFolder(trained_tmaze), TOTAL, FRAMES)) == 5
    assert broken(trained_tmaze) == []


@pytest.mark.parametrize("damage_it", BREAKS, ids=lambda function: function.__name__)
def test_a_broken_invariant_is_named(damage_it, trained_tmaze, tmp_path):
    run = copy_run(trained_tmaze, tmp_path / "run")
    damage_it(run)
    assert broken(run) == BREAKS[damage_it]
