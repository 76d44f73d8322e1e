"""Files of rows, as a run leaves them."""

from launch.report.files import read_rows


def test_a_line_that_is_just_being_written_is_not_there_yet(tmp_path):
    file = tmp_path / "metrics.jsonl"
    for text, frames in [("", []), ('{"fra', []), ('{"frames": 1}\n', [1])]:
        file.write_text(text)
        assert [row["frames"] for row in read_rows(file)] == frames
    file.write_text('{"frames": 1}\n{"frames": 2}\n{"frames": 30')
    assert [row["frames"] for row in read_rows(file)] == [1, 2]
