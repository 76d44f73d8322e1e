"""`srwm report`: a page that is one file, with the numbers of the runs."""

import base64
import json
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image

from launch.config.source import parse_config
from launch.report import html
from launch.report.plot import open_runs
from launch.report.run_page import FACTS, MOST_BYTES, run_page
from launch.run.folder import RunFolder
from launch.run.starts import add_start
from tests.launch.fewshot import SYNCHRONOUS
from tests.launch.runs import PROCGEN, changed, main

ALONE = {"meta", "img", "br"}


class Page(HTMLParser):
    """Reads the tables, pictures and links of a page, and that each tag is closed."""

    def __init__(self, text):
        super().__init__()
        self.rows, self.pictures, self.links, self.tags, self.words = [], {}, {}, [], ""
        self._open, self._href = [], None
        self.feed(text)
        assert not self._open

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        values = dict(attrs)
        if tag not in ALONE:
            self._open.append(tag)
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")
        if tag == "img":
            self.pictures[values["alt"]] = values["src"]
        self._href = values.get("href") if tag == "a" else self._href

    def handle_endtag(self, tag):
        assert self._open.pop() == tag

    def handle_data(self, data):
        self.words += data
        if self._open and self._open[-1] in ("td", "th"):
            self.rows[-1][-1] += data
        if self._open and self._open[-1] == "a":
            self.links[data] = self._href


@pytest.fixture
def run(tmp_path):
    """Make a run folder whose last return is `height`."""

    def run(name, height=1.0, tree=PROCGEN, metrics=None, **changes):
        folder = RunFolder(tmp_path / name)
        folder.create(parse_config(changed(tree, **changes), [], "test"))
        last = metrics or {
            "return/maze": height,
            "held_out/maze": height / 2,
            "return_normalised/mean": 0.25,
            "throughput/total": 1500.0,
        }
        rows = [
            {"frames": x, "updates": x // 5, "time/elapsed": 3723.4} | last for x in (500, 123_400)
        ]
        folder.metrics_file.write_text("".join(json.dumps(row) + "\n" for row in rows))
        return folder.path

    return run


def page(paths, tmp_path):
    return Page(run_page(open_runs(paths), tmp_path / "out.html"))


def test_the_tables_hold_the_numbers_of_the_runs(run, tmp_path):
    runs = [run("a", 2.0), run("b", 5.0, seed=1), run("c", 31.5, agent__core="lstm")]
    rows = page(runs, tmp_path).rows
    assert ["a", "srwm", "0", "123,400", "24,680", "1:02:03"] in rows
    assert ["task", "group", "runs", "return", "normalised", "held out"] in rows
    assert ["maze", "srwm", "2", "3.500 (2.000 to 5.000)", "-", "1.750 (1.000 to 2.500)"] in rows
    assert ["maze", "lstm", "1", "31.5", "-", "15.8"] in rows
    assert ["mean", "lstm", "1", "-", "0.250", "-"] in rows
    assert ["b", "1,500.0", "-", "-", "-"] in rows
    assert ["key", "a", "b", "c"] in rows
    assert ["seed", "0", "1", "0"] in rows
    assert ["agent.core", "srwm", "srwm", "lstm"] in rows
    assert not [row for row in rows if row[0] in ("run_dir", "agent.encoder")]


def test_the_page_says_how_runs_were_started(run, tmp_path):
    runs = [run("a"), run("b"), run("c")]
    add_start(runs[0], 0, {"command": "srwm train <x>", "host": "h1", "cores": 2, "gpu": None})
    add_start(runs[0], 500, {"command": "srwm train --resume a", "host": "h2"})
    rows = page(runs, tmp_path).rows
    place = rows.index(["run", *FACTS])
    assert [row[:5] for row in rows[place + 1 : place + 3]] == [
        ["a", "-", "0", "srwm train <x>", "h1"],
        ["a", "-", "500", "srwm train --resume a", "h2"],
    ]
    assert rows[place + 1][6:8] == ["2", "-"]
    assert rows[place + 3][0] == "task"


def test_the_page_is_one_file_with_its_curves(run, tmp_path):
    found = page([run("a")], tmp_path)
    assert not {"script", "link", "iframe", "object"} & set(found.tags)
    assert [*found.pictures] == [
        "return_normalised/mean, return/maze, held_out/maze",
        "throughput/total",
    ]
    for source in found.pictures.values():
        kind, _, content = source.partition(";base64,")
        assert kind == "data:image/svg+xml"
        assert b"<svg" in base64.b64decode(content)
    assert "What differs" not in found.words  # there is nothing to compare with


def test_pictures_are_in_the_page_and_videos_are_linked(run, tmp_path):
    path = run("a run")
    Image.fromarray(np.zeros((4, 6, 3), np.uint8)).save(path / "small.png")
    (path / "films").mkdir()
    (path / "films" / "50 %.mp4").write_bytes(b"film")
    (path / "large.GIF").write_bytes(bytes(MOST_BYTES + 1))
    found = page([path], tmp_path)
    content = found.pictures["a run: small.png"].removeprefix("data:image/png;base64,")
    assert base64.b64decode(content) == (path / "small.png").read_bytes()
    assert found.links == {
        "a run: films/50 %.mp4": "a%20run/films/50%20%25.mp4",
        "a run: large.GIF": "a%20run/large.GIF",
    }


def test_names_and_values_are_no_html(run, tmp_path):
    bad = "<script>alert(1)<&script>"
    runs = [run(bad, launch__address=f'"{bad}'), run("b")]
    (runs[0] / f'"{bad}.mp4').write_bytes(b"")
    found = page(runs, tmp_path)
    assert "script" not in found.tags
    assert ["key", bad, "b"] in found.rows
    assert ["launch.address", f'"{bad}', "None"] in found.rows
    assert f'{bad}: "{bad}.mp4' in found.links
    assert Page(html.page(bad, [(bad, html.note(bad))])).words.count(bad) == 4


def test_two_runs_of_one_name_are_told_apart(run, tmp_path):
    runs = [run("one/a"), run("two/a")]
    names = [row[0] for row in page(runs, tmp_path).rows[1:3]]
    assert names == [str(path) for path in runs]


def test_a_fewshot_run_has_its_accuracies(run, tmp_path):
    metrics = {"accuracy/validation": 0.75, "accuracy/train": 0.8, "loss/cross_entropy": 0.5}
    found = page([run("few", tree=SYNCHRONOUS, metrics=metrics)], tmp_path)
    assert ["validation", "srwm", "1", "0.750"] in found.rows
    assert [*found.pictures] == ["accuracy/train, accuracy/validation", "loss/cross_entropy"]


def test_the_command_writes_the_page(run, tmp_path, capsys):
    path = run("a")
    (path / "no\udcfftext.mp4").write_bytes(b"")
    assert main("report", "a", "--out", "page.html") == 0
    assert capsys.readouterr().out == "1 runs: page.html\n"
    written = Page((tmp_path / "page.html").read_text())
    assert ["a", "srwm", "0", "123,400", "24,680", "1:02:03"] in written.rows
    assert written.links == {"a: no?text.mp4": "a/no%FFtext.mp4"}


def test_bad_input_is_one_line(run, tmp_path, capsys):
    run("a")
    for arguments, expected in (
        (["nowhere", "--out", "a.html"], "nowhere: not a run folder"),
        (["a", "--out", "a.png"], "a.png: the name must end in .html"),
        (["a", "--out", "no/a.html"], "no is not a folder"),
    ):
        assert main("report", *arguments) == 2
        error = capsys.readouterr().err
        assert len(error.splitlines()) == 1 and expected in error
