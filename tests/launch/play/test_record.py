"""`srwm record`: what is played, kept, drawn and written."""

import av
import numpy as np
import pytest
from PIL import Image

from envs import EnvsConfig
from launch.play.record import Frames, Recording, at_level, is_trained_on
from launch.play.trace import Trace
from launch.report.gif import CENTISECONDS, EVERY, SCALE, write_gif
from launch.report.lettering import BLUE, font, shortened
from launch.report.overlay import (
    PANEL,
    SCREEN,
    draw_recording,
    often_likely,
    probabilities,
    told,
)
from launch.report.timeline import LEFT, RIGHT, Timeline, strip_colours
from launch.report.video import write_video
from tests.launch.runs import main


def example(steps=6, size=8, heads=2):
    """Return a trace of images of one colour each, with three actions."""
    colour = (40 * np.arange(steps)).reshape(-1, 1, 1, 1)
    change = np.ones((steps, heads), np.float32)
    return Trace(
        obs=np.broadcast_to(colour, (steps, size, size, 3)).astype(np.uint8),
        reward=np.arange(steps, dtype=np.float32),
        value=np.arange(steps, dtype=np.float32) / 10,
        action=np.arange(steps) % 3,
        logits=np.log(np.tile(np.float32([0.5, 0.3, 0.2]), (steps, 1))),
        change=[change] if heads else [],
    )


def drawn(trace, frames=None, names=("left", "right", "up")):
    return [*draw_recording(Recording(trace, frames, names, None), "title", ["note"])]


def test_frames_come_out_as_they_went_in():
    frames = Frames()
    pictures = [np.full((4, 5, 3), value, np.uint8) for value in (1, 2, 3)]
    memory = np.zeros((4, 5, 3), np.uint8)
    for picture in pictures:  # an environment draws into the same memory
        memory[:] = picture
        frames.append(memory)
    np.testing.assert_array_equal(frames, pictures)
    np.testing.assert_array_equal(frames[1:], pictures[1:])
    np.testing.assert_array_equal(frames[-1], pictures[-1])


def test_a_level_is_played_alone_and_known_or_not():
    config = EnvsConfig(tasks=("maze",), start_level=10, num_levels=5)
    assert at_level(config, 77) == EnvsConfig(tasks=("maze",), start_level=77, num_levels=1)
    assert [is_trained_on(config, level) for level in (9, 10, 14, 15)] == [False, True, True, False]
    assert is_trained_on(EnvsConfig(tasks=("maze",), num_levels=0), 10**6)
    with pytest.raises(ValueError, match="'memory/TMaze-8' has no levels"):
        at_level(EnvsConfig(tasks=("memory/TMaze-8",)), 0)
    with pytest.raises(ValueError, match="exploration"):
        at_level(EnvsConfig(tasks=("maze",), distribution_mode="exploration"), 0)


# ----------------------------------------------------------------------------------- the overlay


def test_the_words_are_those_of_the_step():
    trace = example()
    returns = np.cumsum(trace.reward)
    # The reward of step 3 comes after it was acted on: 0 + 1 + 2 is there.
    assert told(trace, returns, 3) == ["step 3", "return 3", "value 0.30"]


def test_probabilities_and_which_actions_are_shown():
    chances = np.float32([[0.1, 0.6, 0.3], [0.3, 0.2, 0.5]])
    np.testing.assert_allclose(probabilities(np.log(chances) + 200), chances, rtol=1e-5)
    assert often_likely(chances, 2) == [1, 2]
    assert often_likely(chances, 9) == [0, 1, 2]


def test_every_step_has_a_picture_with_the_frame_and_the_view():
    trace = example()
    frames = [np.full((20, 10, 3), 255 - 40 * t, np.uint8) for t in range(6)]
    pictures = drawn(trace, frames)
    assert len(pictures) == 6
    assert {picture.shape for picture in pictures} == {pictures[0].shape}
    height, width, _ = pictures[0].shape
    assert (width, height % 2) == (SCREEN + PANEL, 0)
    for t, picture in enumerate(pictures):
        assert (picture[SCREEN // 2, SCREEN // 2] == 255 - 40 * t).all()
        # The frame is half as wide as it is high, in the middle.
        edge = picture[SCREEN // 2, SCREEN // 4 - 4 : SCREEN // 4 + 4]
        assert (edge[:4] != 255 - 40 * t).any(1).all() and (edge[4:] == 255 - 40 * t).all()
        assert (picture[130, SCREEN + 80] == 40 * t).all()
    without = drawn(trace)
    assert (without[3][SCREEN // 2, SCREEN // 2] == 120).all()


def bars(picture):
    """Return for each blue bar of the panel its height there and its length."""
    panel = picture[:SCREEN, SCREEN:]
    blue = (panel == BLUE).all(-1).sum(1)
    rows = np.flatnonzero(blue > 20)
    return rows.mean(), blue[rows].max()


def test_the_bar_of_the_action_taken_is_blue_and_as_long_as_it_is_probable():
    (first, long), (second, middle), (third, short) = map(bars, drawn(example())[:3])
    assert first < second < third
    assert second - first == pytest.approx(third - second)
    assert middle / long == pytest.approx(0.3 / 0.5, rel=0.05)
    assert short / long == pytest.approx(0.2 / 0.5, rel=0.05)


def test_without_images_or_fast_weights_there_is_less_to_draw():
    frames = [np.zeros((8, 8, 3), np.uint8)] * 6
    vectors = example()._replace(obs=np.zeros((6, 4), np.float32))
    assert len(drawn(vectors, frames)) == 6
    assert Timeline(example(heads=0), 300).height < Timeline(example(), 300).height


def test_the_strip_is_white_at_the_median_and_as_strong_on_both_sides():
    change = np.float32([[0.5, 7], [1, 7], [2, 7]])
    ((rising, still),) = strip_colours([change])
    below, median, above = rising.astype(int)
    assert median.min() > 240
    assert below[2] > below[0] + 50 and above[0] > above[2] + 50  # blue, red
    assert still.min() > 240
    # Rounding errors are pale.
    ((pale,),) = strip_colours([np.float32([[1], [1 + 1e-6], [1 - 1e-6]])])
    assert pale.min() > 235


def test_what_is_to_come_is_faint():
    timeline = Timeline(example(steps=10, heads=1), 400)
    y = timeline.height - 13
    row = np.asarray(timeline.at(4))[y, LEFT : 400 - RIGHT].astype(int).max(-1)
    half = len(row) // 2
    assert row[: half - 2].min() > 235
    assert row[half + 2 :].max() < 110


def test_a_long_text_is_cut():
    letters = font(12)
    assert shortened("short", letters, 200) == "short"
    cut = shortened("long " * 50, letters, 200)
    assert cut.endswith("…") and 150 < letters.getlength(cut) <= 200


# ------------------------------------------------------------------------------------- the files


def test_a_gif_has_every_second_picture_smaller_and_repeats(tmp_path):
    advanced = []
    pictures = drawn(example(steps=5))
    write_gif(iter(pictures), tmp_path / "a.gif", lambda: advanced.append(1))
    assert len(advanced) == 5
    height, width, _ = pictures[0].shape
    with Image.open(tmp_path / "a.gif") as gif:
        assert gif.size == (round(SCALE * width), round(SCALE * height))
        assert gif.n_frames == 3 and gif.info["loop"] == 0
        for number in range(3):
            gif.seek(number)
            assert gif.info["duration"] == 10 * CENTISECONDS
            pixel = gif.convert("RGB").getpixel((100, 100))
            assert np.abs(np.array(pixel) - 40 * EVERY * number).max() <= 4


def test_pictures_in_three_colours_become_an_mp4(tmp_path):
    write_video(iter(drawn(example())), tmp_path / "a.mp4")
    with av.open(str(tmp_path / "a.mp4")) as container:
        shown = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    assert len(shown) == 6
    for t, picture in enumerate(shown):
        assert abs(picture[250, 250].astype(int) - 40 * t).max() <= 6


# ----------------------------------------------------------------------------------- the command


def test_the_command_films_a_level(trained_procgen, tmp_path, capsys):
    arguments = ["--task", "bigfish", "--level", "1000", "--steps", "4", "--out"]
    for name in ("a.mp4", "a.gif"):
        assert main("record", str(trained_procgen), *arguments, name) == 0
        printed = capsys.readouterr().out
        assert printed.startswith("bigfish: return ")
        assert f" in the first 4 steps on level 1000: {name}" in printed
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.gif", "a.mp4"]
    with av.open("a.mp4") as container:
        assert len([*container.decode(video=0)]) == 4


def test_actions_are_drawn_if_that_is_asked_for(trained_procgen, monkeypatch, capsys):
    kept = []

    def kept_picture(recording, title, notes):
        kept.append((recording.trace.action.tolist(), notes))
        return draw_recording(recording, title, notes)

    monkeypatch.setattr("launch.report.overlay.draw_recording", kept_picture)
    command = ("record", str(trained_procgen), "--task", "maze", "--steps", "20", "--out", "a.gif")
    for options in ([], ["--sample"], ["--sample"], ["--sample", "--seed", "1"]):
        assert main(*command, *options) == 0
    (greedy, how), (first, said), (again, _), (other, _) = kept
    assert first == again != other
    assert len(set(first)) > len(set(greedy))  # it has hardly learnt: all actions are likely
    assert how[0].endswith("greedy") and said[0].endswith("sampled")


def test_bad_input_is_one_line(trained_procgen, trained_tmaze, capsys):
    games, maze = str(trained_procgen), str(trained_tmaze)
    task = "memory/TMaze-8"
    for arguments, expected in (
        ([games, "--task", "bigfsh", "--out", "a.gif"], "did you mean 'bigfish'?"),
        ([games, "--task", "maze", "--out", "a.avi"], "a.avi: the name must end in .mp4 or .gif"),
        ([games, "--task", "maze", "--out", "no/a.gif"], "no is not a folder"),
        ([games, "--task", "maze", "--out", "a.gif", "--checkpoint", "7"], "has no checkpoint 7"),
        ([games, "--task", "maze", "--out", "a.gif", "--level", "-1"], "'--level'"),
        ([maze, "--task", task, "--out", "a.gif", "--level", "1"], "has no levels"),
        ([maze, "--task", task, "--out", "a.gif"], "cannot be drawn"),
        (["nowhere", "--task", task, "--out", "a.gif"], "not a run folder"),
    ):
        capsys.readouterr()
        assert main("record", *arguments) == 2
        error = capsys.readouterr().err.splitlines()
        assert error[-1].startswith("srwm: ") and expected in error[-1]
        assert sum(line.startswith("srwm: ") for line in error) == 1
