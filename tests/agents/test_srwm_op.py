"""The SRWM as one function of an unroll, against the paper's equations written out in loops."""

import math

import numpy as np
import pytest
import torch

from agents.ops.srwm import srwm

T, B, H, D, E = 7, 3, 5, 4, 6
ROWS = E + 2 * D + 4

RESETS = {
    "none": [],
    "start": [(0, 1)],
    "middle": [(3, 0), (4, 2)],
    "end": [(T - 1, 2)],
    "several in a row": [(2, 1), (3, 1), (4, 1)],
    "everyone": [(3, b) for b in range(B)],
    "every step": [(t, b) for t in range(T) for b in range(B)],
}


def first_of(resets, steps=T, batch=B):
    first = torch.zeros(steps, batch, dtype=torch.bool)
    for t, b in resets:
        first[t, b] = True
    return first


def problem(steps=T, batch=B, heads=H, size=D, outputs=E, dtype=torch.float64, seed=0):
    """Return base, x (softmaxed, as the layer does) and a carried shift."""
    generator = torch.Generator().manual_seed(seed)
    rows = outputs + 2 * size + 4
    base = torch.randn(heads, rows, size, generator=generator, dtype=torch.float64)
    x = torch.randn(steps, batch, heads, size, generator=generator, dtype=torch.float64)
    shift = 0.5 * torch.randn(batch, heads, rows, size, generator=generator, dtype=torch.float64)
    return base.to(dtype), x.softmax(-1).to(dtype), shift.to(dtype)


def softmax(values):
    top = max(values)
    exponentials = [math.exp(value - top) for value in values]
    return [value / sum(exponentials) for value in exponentials]


def matvec(matrix, vector):
    return [sum(w * v for w, v in zip(row, vector, strict=True)) for row in matrix]


def paper(base, x, first, shift, outputs):
    """Equations 5 to 8 of Irie et al. 2022 for one head of one environment, in plain Python."""
    size = len(base[0])
    ys = []
    for x_t, first_t in zip(x, first, strict=True):
        if first_t:
            shift = [[0.0] * size for _ in base]
        weights = [
            [w + s for w, s in zip(*rows, strict=True)] for rows in zip(base, shift, strict=True)
        ]
        everything = matvec(weights, x_t)
        y = everything[:outputs]
        q = everything[outputs : outputs + size]
        k = everything[outputs + size : outputs + 2 * size]
        b = everything[outputs + 2 * size :]
        phi_q, phi_k = softmax(q), softmax(k)
        v, v_bar = matvec(weights, phi_q), matvec(weights, phi_k)
        rates = [1 / (1 + math.exp(-value)) for value in b]
        rate_of_row = (
            [rates[0]] * outputs + [rates[1]] * size + [rates[2]] * size + [rates[3]] * len(rates)
        )
        shift = [
            [
                shift[row][column] + rate_of_row[row] * (v[row] - v_bar[row]) * phi_k[column]
                for column in range(size)
            ]
            for row in range(len(base))
        ]
        ys.append(y)
    return ys, shift


@pytest.mark.parametrize("resets", RESETS.values(), ids=RESETS)
@pytest.mark.parametrize("outputs", [E, D, 1])
def test_equals_the_equations(resets, outputs):
    base, x, shift = problem(outputs=outputs)
    first = first_of(resets)
    y, last = srwm(base, x, first, shift)
    assert y.shape == (T, B, H, outputs)
    assert last.shape == shift.shape
    for b in range(B):
        for h in range(H):
            expected_y, expected_shift = paper(
                base[h].tolist(),
                x[:, b, h].tolist(),
                first[:, b].tolist(),
                shift[b, h].tolist(),
                outputs,
            )
            np.testing.assert_allclose(y[:, b, h].numpy(), expected_y, rtol=1e-10, atol=1e-12)
            np.testing.assert_allclose(last[b, h].numpy(), expected_shift, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize(
    "resets",
    [
        [],
        [(0, 0)],
        [(2, 1)],
        [(3, 0)],
        [(1, 0), (2, 0)],
        [(t, b) for t in range(4) for b in (0, 1)],
    ],
    ids=["none", "start", "middle", "end", "several in a row", "every step"],
)
def test_gradients_equal_finite_differences(resets):
    steps, batch = 4, 2
    base, x, shift = problem(steps, batch, heads=2, size=3, outputs=2)
    inputs = [tensor.requires_grad_() for tensor in (base, x, shift)]
    first = first_of(resets, steps, batch)
    # gradcheck differentiates both outputs, y and the last shift.
    assert torch.autograd.gradcheck(
        lambda base, x, shift: srwm(base, x, first, shift), inputs, rtol=1e-5, atol=1e-8
    )


@pytest.mark.parametrize("cut", [1, 3, T - 1])
def test_a_reset_inside_equals_splitting_there(cut):
    """Values and gradients; no step of the split runs has `first` set."""
    base, x, shift = problem()
    generator = torch.Generator().manual_seed(1)
    y_cotangent = torch.randn(T, B, H, E, generator=generator, dtype=torch.float64)
    shift_cotangent = torch.randn(B, H, ROWS, D, generator=generator, dtype=torch.float64)
    never = torch.zeros(T, B, dtype=torch.bool)

    def whole(base, x, shift):
        return srwm(base, x, first_of([(cut, b) for b in range(B)]), shift)

    def split(base, x, shift):
        before, _ = srwm(base, x[:cut], never[:cut], shift)
        after, last = srwm(base, x[cut:], never[cut:], torch.zeros_like(shift))
        return torch.cat([before, after]), last

    results = []
    for run in (whole, split):
        inputs = [tensor.clone().requires_grad_() for tensor in (base, x, shift)]
        outputs = run(*inputs)
        gradients = torch.autograd.grad(outputs, inputs, [y_cotangent, shift_cotangent])
        results.append([*outputs, *gradients])
    torch.testing.assert_close(*results, rtol=1e-10, atol=1e-12)


def test_an_unroll_continues_from_the_returned_shift():
    base, x, shift = problem()
    first = first_of([(2, 0), (5, 1)])
    y, last = srwm(base, x, first, shift)
    head, middle = srwm(base, x[:4], first[:4], shift)
    tail, end = srwm(base, x[4:], first[4:], middle)
    torch.testing.assert_close((torch.cat([head, tail]), end), (y, last), rtol=1e-12, atol=1e-12)


def test_inputs_are_not_changed():
    inputs = base, x, shift = problem()
    first = first_of(RESETS["middle"] + RESETS["start"])
    before = [tensor.clone() for tensor in (*inputs, first)]
    for tensor in inputs:
        tensor.requires_grad_()
    y, last = srwm(base, x, first, shift)
    (y.sum() + last.sum()).backward()
    for tensor, copy in zip((base, x, shift, first), before, strict=True):
        assert torch.equal(tensor, copy)


@pytest.mark.parametrize("poison", [math.nan, math.inf])
def test_a_poisoned_shift_does_not_survive_a_reset(poison):
    base, x, shift = problem()
    first = first_of([(0, 1)])
    clean = srwm(base, x, first, shift)
    poisoned = shift.clone()
    poisoned[1] = poison
    base.requires_grad_()
    y, last = srwm(base, x, first, poisoned)
    torch.testing.assert_close((y.detach(), last.detach()), clean, rtol=0, atol=0)
    (gradient,) = torch.autograd.grad(y.sum() + last.sum(), base)
    assert gradient.isfinite().all()


@pytest.mark.parametrize(
    "broken",
    [
        {"base": (H + 1, ROWS, D)},
        {"base": (H, 2 * D + 4, D)},  # no output row is left
        {"base": (H, 1, ROWS, D)},
        {"x": (0, B, H, D), "first": (0, B)},
        {"x": (T, B, H, D + 1)},
        {"x": (T, B, H * D)},
        {"first": (T + 1, B)},
        {"first": (B, T)},
        {"shift": (B + 1, H, ROWS, D)},
        {"shift": (B, H, ROWS - 1, D)},
        {"shift": (H, ROWS, D)},
    ],
    ids=str,
)
def test_shapes_that_disagree_are_refused(broken):
    shapes = {"base": (H, ROWS, D), "x": (T, B, H, D), "first": (T, B), "shift": (B, H, ROWS, D)}
    tensors = {name: torch.zeros(broken.get(name, shape)) for name, shape in shapes.items()}
    tensors["first"] = tensors["first"].bool()
    with pytest.raises(ValueError, match=r"^srwm: base .* do not agree$"):
        srwm(**tensors)


@pytest.mark.parametrize("dtype", [torch.float32, torch.uint8, torch.int64])
def test_flags_have_to_be_bool(dtype):
    base, x, shift = problem(dtype=torch.float32)
    with pytest.raises(ValueError, match=f"^srwm: first is {dtype} on cpu, not torch.bool on cpu$"):
        srwm(base, x, torch.zeros(T, B, dtype=dtype), shift)


def test_float32_holds_over_a_long_episode():
    steps = 1000
    first = torch.zeros(steps, 2, dtype=torch.bool)
    base, x, shift = problem(steps, batch=2, heads=8, size=16, outputs=16)
    base *= 16**-0.5  # the paper's initialisation
    exact = srwm(base, x, first, torch.zeros_like(shift))
    single = srwm(base.float(), x.float(), first, torch.zeros_like(shift).float())
    for name, ours, truth in zip(("y", "shift"), single, exact, strict=True):
        error = (ours.double() - truth).square().mean().sqrt() / truth.square().mean().sqrt()
        print(f"relative RMS error of {name} after {steps} steps: {error:.1e}")
        assert truth.isfinite().all()
        assert error < 1e-5


@pytest.mark.parametrize("detach", [False, True])
def test_the_self_modification_learns_only_through_the_unroll(detach):
    """`y` is read before the update: cut between steps, and q, k and b rows get no gradient."""
    base, x, shift = problem()
    base.requires_grad_()
    ys = []
    for t in range(T):
        y, shift = srwm(base, x[t : t + 1], torch.zeros(1, B, dtype=torch.bool), shift)
        shift = shift.detach() if detach else shift
        ys.append(y)
    (gradient,) = torch.autograd.grad(torch.cat(ys).square().sum(), base)
    y_rows, q_rows, k_rows, b_rows = gradient.split([E, D, D, 4], dim=1)
    assert y_rows.abs().amax() > 0
    for rows in (q_rows, k_rows, *b_rows[:, :1].unbind(1)):
        assert bool((rows == 0).all() if detach else (rows.abs().amax(-1) > 0).all())
