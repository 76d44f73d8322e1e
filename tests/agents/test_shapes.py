"""What the checks of arguments let through, and what they say of the rest."""

import numpy as np
import pytest
import torch

from agents.shapes import check


def refused(**arguments):
    with pytest.raises(ValueError) as raised:
        check("f", **arguments)
    return str(raised.value)


def test_what_agrees_is_taken():
    check(
        "f",
        obs=(np.zeros((5, 3, 8, 8), np.uint8), "any [T+1, B, ...]"),
        reward=(torch.zeros(5, 3, dtype=torch.float64), "float [T+1, B]"),
        action=(torch.zeros(4, 3, dtype=torch.int64), "int64 [T, B]"),
        first=(np.zeros((5, 3), np.bool_), "bool [T+1, B]"),
        half=(torch.zeros(3, dtype=torch.bfloat16), "float [B]"),
    )


@pytest.mark.parametrize("shape", [(4,), (4, 3, 1), (4, 1), (5, 3), ()])
def test_another_shape_is_named_with_what_is_right(shape):
    message = refused(
        x=(torch.zeros(4, 3, 7), "float [T, B, A]"), y=(torch.zeros(shape), "float [T, B]")
    )
    assert message == f"f: y {[*shape]} must be [T, B] with T = 4, B = 3"


def test_those_that_must_be_alike_are_named_together():
    x, y = torch.zeros(4, 3), torch.zeros(4, 1)
    message = refused(x=(x, "float [T, B]"), y=(y, "float [T, B]"))
    assert message == "f: x [4, 3] and y [4, 1] must all be [T, B]"


def test_one_more_step_is_counted():
    message = refused(x=(torch.zeros(4, 3), "any [T, B]"), y=(torch.zeros(4, 3), "any [T+1, B]"))
    assert message == "f: y [4, 3] must be [T+1, B] with T = 4, B = 3"


@pytest.mark.parametrize(
    ("value", "wanted", "is_named"),
    [
        (torch.zeros(3, dtype=torch.int32), "int64", "int32"),
        (torch.zeros(3, dtype=torch.int64), "float", "int64"),
        (np.zeros(3, np.uint8), "bool", "uint8"),
        (np.zeros(3, np.float32), "int64", "float32"),
    ],
)
def test_another_dtype_is_named_with_what_is_right(value, wanted, is_named):
    assert refused(x=(value, f"{wanted} [B]")) == f"f: x is {is_named}, but must be {wanted}"
