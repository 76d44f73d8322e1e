"""Tables for the terminal."""

from launch.report.table import table


def test_numbers_are_written_in_the_form_of_their_column():
    made = table([("name", ""), ("rate", ",.0f")], [("a", 1234.5), ("b", None), ("c", "none")])
    name, rate = made.columns
    assert [*name.cells] == ["a", "b", "c"]
    assert [*rate.cells] == ["1,234", "-", "none"]
    assert (name.justify, rate.justify) == ("left", "right")
