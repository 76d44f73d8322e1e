"""The SRWM's fused kernel in float32 against the reference in float64."""

import contextlib
import logging
from math import inf, nan

import pytest
import torch

from agents.ops import kernels
from agents.ops.kernels import SEGMENT
from agents.ops.srwm import fused, reference, srwm
from tests.agents.kernels import (
    DEVICES,
    poisoned_memory,
    relative_error,
    values_and_gradients,
)

T, B, H, D, E = 50, 3, 5, 16, 16
NAMES = ["y", "last shift", "d base", "dx", "d shift"]
SIZES = [(1, 1), (3, 3), (4, 9), (6, 6), (8, 3), (16, 16), (24, 5), (32, 19)]  # D, E
STEPS = [1, 2, 50, 63, 257]


def random_resets(steps, batch=B, rate=0.05):
    return torch.rand(steps, batch, generator=torch.Generator().manual_seed(1)) < rate


def resets(steps, *at):
    """Return flags [steps, B], True at each (step, environment) of `at`."""
    first = torch.zeros(steps, B, dtype=torch.bool)
    for t, b in at:
        first[t, b] = True
    return first


RESETS = {
    "none": lambda steps: resets(steps),
    "start": lambda steps: resets(steps, (0, 1)),
    "end": lambda steps: resets(steps, (-1, 0), (-1, 2)),
    "start and end": lambda steps: resets(steps, (0, 0), (-1, 0), (0, 2)),
    "several in a row": lambda steps: resets(steps, (20, 1), (21, 1), (22, 1), (22, 2), (23, 2)),
    "everyone": lambda steps: resets(steps, *((20, b) for b in range(B))),
    "every step": lambda steps: torch.ones(steps, B, dtype=torch.bool),
    "random": lambda steps: random_resets(steps),
}


@pytest.fixture(params=DEVICES)
def device(request):
    return request.param


def problem(steps=T, batch=B, heads=H, size=D, outputs=E, seed=0):
    """Return base, x (softmaxed, as the layer does) and a carried shift, in float32."""
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape):
        return torch.randn(*shape, generator=generator)

    rows = outputs + 2 * size + 4
    base = normal(heads, rows, size) * size**-0.5
    x = normal(steps, batch, heads, size).softmax(-1)
    return [base, x, 0.3 * normal(batch, heads, rows, size)]


def cotangents_of(inputs):
    """Return random ones of y, in its type, and of the last shift."""
    base, x, shift = inputs
    outputs = base.shape[1] - 2 * base.shape[2] - 4
    generator = torch.Generator().manual_seed(2)
    dy = torch.randn(*x.shape[:3], outputs, generator=generator)
    return [dy.to(x), torch.randn(shift.shape, generator=generator).to(shift)]


def unroll(op, first):
    """Return `op` as a function of all that has a gradient."""
    return lambda base, x, shift: op(base, x, first, shift)


def kernel(inputs, first, device):
    """Return values and gradients of the fused kernel, which finds NaN in all it has to write."""
    inputs = [tensor.to(device) for tensor in inputs]
    with poisoned_memory():
        return values_and_gradients(
            unroll(fused.srwm, first.to(device)), inputs, cotangents_of(inputs)
        )


def truth(inputs, first):
    """Return values and gradients of the reference in float64, from the same numbers."""
    return values_and_gradients(
        unroll(reference.srwm, first),
        [tensor.double() for tensor in inputs],
        [tensor.double() for tensor in cotangents_of(inputs)],
    )


def assert_equal(actual, expected, forward=1e-5, gradients=1e-4):
    for name, ours, theirs in zip(NAMES, actual, expected, strict=True):
        error = relative_error(ours, theirs)
        print(f"{name}: relative RMS error {error:.1e}")
        assert ours.shape == theirs.shape
        assert error < (gradients if name.startswith("d") else forward), name


@pytest.mark.parametrize("steps", STEPS)
@pytest.mark.parametrize("size, outputs", SIZES)
def test_equals_the_reference(device, steps, size, outputs):
    inputs, first = problem(steps, size=size, outputs=outputs), random_resets(steps)
    assert_equal(kernel(inputs, first, device), truth(inputs, first))


def test_the_sizes_take_one_and_several_warps():
    inputs = [problem(1, size=size, outputs=outputs) for size, outputs in SIZES]
    assert {fused._spec(base, x).warps for base, x, _ in inputs} == {1, 2, 4}


@pytest.mark.parametrize("steps", [50, 257])
@pytest.mark.parametrize("name", RESETS)
def test_equals_the_reference_with_resets(device, name, steps):
    inputs, first = problem(steps, size=4, outputs=9), RESETS[name](steps)
    assert_equal(kernel(inputs, first, device), truth(inputs, first))


@pytest.mark.parametrize("steps", [SEGMENT, SEGMENT + 1, 2 * SEGMENT + 1])
@pytest.mark.parametrize("at", [SEGMENT - 2, SEGMENT - 1])
def test_equals_the_reference_with_resets_around_a_checkpoint(device, steps, at):
    inputs = problem(steps, size=4, outputs=9)
    # in each environment one step later, or none where the unroll is over
    first = resets(steps, *((at + b, b) for b in range(B) if at + b < steps))
    assert_equal(kernel(inputs, first, device), truth(inputs, first))


@pytest.mark.parametrize("b, scale", [(0.0, 0.05), (-12.0, 1e-5)], ids=["begins", "hardly learns"])
def test_a_small_shift_is_right_to_its_own_precision(device, b, scale):
    """Nothing is carried, and learning rates sigmoid(b) change the matrix little or hardly."""
    base, x, shift = problem()
    base[:, -4:] += b  # x sums to 1
    inputs, first = [base, x, torch.zeros_like(shift)], random_resets(T)
    actual, expected = kernel(inputs, first, device), truth(inputs, first)
    assert expected[1].square().mean().sqrt() < scale * base.square().mean().sqrt()
    assert_equal(actual, expected)


def test_threads_share_the_work():
    inputs, first = problem(5, batch=13, heads=9), random_resets(5, batch=13, rate=0.3)
    alone = kernel(inputs, first, "cpu")
    torch.set_num_threads(3)  # until the end of this test, see conftest.py
    together = kernel(inputs, first, "cpu")
    torch.testing.assert_close(together, alone, rtol=0, atol=0)
    assert_equal(together, truth(inputs, first))


@pytest.mark.parametrize("cut", [1, SEGMENT, 90, 99])
def test_a_reset_inside_equals_splitting_there(device, cut):
    """Values and gradients; no step of the split runs has `first` set."""
    inputs = [tensor.to(device) for tensor in problem(100, size=4, outputs=9)]
    never = torch.zeros(100, B, dtype=torch.bool, device=device)
    there = never.clone()
    there[cut] = True

    def split(base, x, shift):
        before, _ = fused.srwm(base, x[:cut], never[:cut], shift)
        after, last = fused.srwm(base, x[cut:], never[cut:], torch.zeros_like(shift))
        return torch.cat([before, after]), last

    cotangents = cotangents_of(inputs)
    whole = values_and_gradients(unroll(fused.srwm, there), inputs, cotangents)
    parts = values_and_gradients(split, inputs, cotangents)
    assert_equal(whole, parts, forward=1e-6, gradients=1e-6)


def test_an_unroll_continues_from_the_returned_shift(device):
    base, x, shift = (tensor.to(device) for tensor in problem(100, size=4, outputs=9))
    first = random_resets(100).to(device)
    y, last = fused.srwm(base, x, first, shift)
    head, middle = fused.srwm(base, x[:37], first[:37], shift)
    tail, end = fused.srwm(base, x[37:], first[37:], middle)
    torch.testing.assert_close((torch.cat([head, tail]), end), (y, last), rtol=1e-5, atol=1e-6)


def test_precision_holds_over_a_long_episode(device):
    inputs = problem(4000, batch=1, heads=2)
    first = torch.zeros(4000, 1, dtype=torch.bool)
    assert_equal(kernel(inputs, first, device), truth(inputs, first), 1e-3, 1e-3)


def test_small_updates_do_not_get_lost_over_a_long_episode(device):
    """Each is below what W can hold beside its own size, but all go the same way."""
    base, x, shift = problem(4000, batch=1, heads=2)
    base[:, -4:] -= 6
    x[:], shift[:] = x[:1], 0
    first = torch.zeros(4000, 1, dtype=torch.bool)
    inputs = [base, x, shift]
    assert_equal(kernel(inputs, first, device), truth(inputs, first), 2e-5, 2e-5)


def test_bfloat16_sequences(device):
    """Only reading and writing rounds, to 8 bits: half a unit of these is 2^-8 of the value."""
    base, x, shift = problem(70)
    inputs, first = [base, x.bfloat16(), shift], random_resets(70)
    actual, expected = kernel(inputs, first, device), truth(inputs, first)
    for name, ours, theirs in zip(NAMES, actual, expected, strict=True):
        if name in ("y", "dx"):
            assert ours.dtype == torch.bfloat16
            error = (ours.double().cpu() - theirs).abs()
            unrounded = 1e-4 * theirs.square().mean().sqrt()
            assert (error <= 2**-8 * theirs.abs() + unrounded).all(), name
        else:
            assert ours.dtype == torch.float32
            assert relative_error(ours, theirs) < (1e-4 if name.startswith("d") else 1e-5), name


def test_bfloat16_rounds_to_the_nearest_and_to_even(device):
    """Rows of y that lie half-way between two neighbours, and a NaN of a GPU's kind."""
    base, x, shift = (torch.zeros_like(tensor) for tensor in problem(1, batch=1, heads=1))
    x[..., 0] = 1
    wanted = {1 + 2**-8: 1, 1 + 3 * 2**-8: 1 + 2**-6, 1 + 2**-8 + 2**-20: 1 + 2**-7}
    base[0, : len(wanted), 0] = torch.tensor([*wanted])
    base.view(torch.int32)[0, len(wanted), 0] = 0x7FFFFFFF
    first = torch.zeros(1, 1, dtype=torch.bool)
    arguments = (tensor.to(device) for tensor in (base, x.bfloat16(), first, shift))
    y = fused.srwm(*arguments)[0].flatten().tolist()
    assert y[: len(wanted)] == [*wanted.values()]
    assert y[len(wanted)] != y[len(wanted)]


def test_inputs_may_be_strided_and_are_not_changed(device):
    inputs = [tensor.to(device) for tensor in problem(70, size=4, outputs=9)]
    cotangents, first = cotangents_of(inputs), random_resets(70).to(device)
    expected = values_and_gradients(unroll(fused.srwm, first), inputs, cotangents)

    def swapped(tensor):
        """Return the same numbers, the first two dimensions in memory in another order."""
        return tensor.transpose(0, 1).contiguous().transpose(0, 1)

    inputs = [swapped(tensor).requires_grad_() for tensor in inputs]
    cotangents = [swapped(tensor) for tensor in cotangents]
    first = swapped(first)
    given = [*inputs, *cotangents, first]
    before = [tensor.detach().clone() for tensor in given]
    outputs = fused.srwm(inputs[0], inputs[1], first, inputs[2])
    gradients = torch.autograd.grad(outputs, inputs, cotangents)
    torch.testing.assert_close([*outputs, *gradients], expected, rtol=0, atol=0)
    for tensor, copy in zip(given, before, strict=True):
        assert not tensor.is_contiguous()
        assert torch.equal(tensor, copy)


@pytest.mark.parametrize("used", [0, 1], ids=["y", "last shift"])
def test_a_loss_of_one_output_alone(device, used):
    inputs, first = problem(70, size=4, outputs=9), random_resets(70, rate=0.02)

    def gradients(op, place, dtype):
        leaves = [tensor.to(place, dtype).requires_grad_() for tensor in inputs]
        output = op(leaves[0], leaves[1], first.to(place), leaves[2])[used]
        return torch.autograd.grad(output, leaves, cotangents_of(leaves)[used])

    with poisoned_memory():
        ours = gradients(fused.srwm, device, torch.float32)
    theirs = gradients(reference.srwm, "cpu", torch.float64)
    for name, actual, expected in zip(NAMES[2:], ours, theirs, strict=True):
        assert relative_error(actual, expected) < 1e-4, name


@pytest.mark.parametrize("learning", [0, 1, 2], ids=["base", "x", "shift"])
def test_one_input_alone_learns(device, learning):
    inputs = [tensor.to(device) for tensor in problem(70, size=4, outputs=9)]
    cotangents, first = cotangents_of(inputs), random_resets(70).to(device)
    expected = values_and_gradients(unroll(fused.srwm, first), inputs, cotangents)
    inputs[learning].requires_grad_()
    outputs = unroll(fused.srwm, first)(*inputs)
    (gradient,) = torch.autograd.grad(outputs, inputs[learning], cotangents)
    torch.testing.assert_close(gradient, expected[2 + learning], rtol=0, atol=0)


def test_nothing_is_kept_where_nothing_learns(device):
    inputs = [tensor.to(device) for tensor in problem(130, size=4, outputs=9)]
    first = random_resets(130).to(device)
    base, x, shift = inputs
    with poisoned_memory():
        *_, kept, checkpoints = fused._forward(base, x, first, shift, False)
        acting = unroll(fused.srwm, first)(*inputs)
        learning = unroll(fused.srwm, first)(*(tensor.requires_grad_() for tensor in inputs))
    assert kept.numel() == checkpoints.numel() == 0
    assert not acting[0].requires_grad
    torch.testing.assert_close(acting, learning, rtol=0, atol=0)


@pytest.mark.parametrize("scale", [1e3, 1e10, 1e30])
def test_large_inputs_saturate_without_overflow(device, scale):
    """q, k and b are so large that softmax and sigmoid are exactly 0 or 1, but for few ties."""
    base, x, shift = problem(steps=2, size=4, outputs=9)
    inputs, first = [base, scale * x, shift], resets(2, (1, 1))
    actual, expected = kernel(inputs, first, device), truth(inputs, first)
    assert all(tensor.isfinite().all() for tensor in actual)
    assert_equal(actual, expected)


@pytest.mark.parametrize("poison", [nan, inf])
def test_a_poisoned_shift_does_not_survive_a_reset(device, poison):
    inputs = problem(70, size=4, outputs=9)
    first = resets(70, (0, 1), (40, 2))
    clean = kernel(inputs, first, device)
    inputs[2][1] = poison
    poisoned = kernel(inputs, first, device)
    torch.testing.assert_close(poisoned, clean, rtol=0, atol=0)


def test_a_nan_is_seen_until_its_episode_ends(device):
    """A run that diverges must show it; the environment's next episode and the others go on."""
    inputs = problem(150, size=4, outputs=9)
    first = resets(150, (100, 1))
    clean = kernel(inputs, first, device)
    inputs[1][70, 1, 2, 0] = nan
    y, last, d_base, dx, d_shift = kernel(inputs, first, device)
    clean_y, clean_last, _, clean_dx, clean_d_shift = clean
    torch.testing.assert_close(last, clean_last, rtol=0, atol=0)
    assert y[70:100, 1, 2].isnan().all()
    for ours, theirs in ((y, clean_y), (dx, clean_dx)):
        ours, theirs = ours.clone(), theirs.clone()
        ours[:100, 1, 2] = theirs[:100, 1, 2] = 0
        torch.testing.assert_close(ours, theirs, rtol=0, atol=0)
    torch.testing.assert_close(y[:70], clean_y[:70], rtol=0, atol=0)
    assert d_base[2].isnan().any() and d_base[[0, 1, 3, 4]].isfinite().all()
    assert d_shift[1, 2].isnan().any()
    torch.testing.assert_close(d_shift[[0, 2]], clean_d_shift[[0, 2]], rtol=0, atol=0)


def test_the_gradient_has_no_gradient(device):
    """The backward kernel cannot be differentiated, and says so instead of giving zeros."""
    base, x, shift = (tensor.to(device).requires_grad_() for tensor in problem(3))
    y, _ = fused.srwm(base, x, random_resets(3).to(device), shift)
    (gradient,) = torch.autograd.grad(y.square().sum(), base, create_graph=True)
    with pytest.raises(RuntimeError, match=r"srwm[:.]*backward"):
        gradient.sum().backward()


def test_torch_knows_the_operator(device):
    """Its schema, its fake and its autograd, as `torch.compile` needs them."""
    base, x, shift = (t.to(device).requires_grad_() for t in problem(70, size=4, outputs=9))
    first = random_resets(70).to(device)
    torch.library.opcheck(fused._forward, (base, x, first, shift, True))
    torch.library.opcheck(fused._forward, (base.detach(), x.detach(), first, shift.detach(), False))


@pytest.mark.parametrize(
    "backend",
    [
        "aot_eager",
        pytest.param("inductor", marks=[pytest.mark.slow, pytest.mark.timeout(600)]),
    ],
)
def test_can_be_compiled_with_what_surrounds_it(device, backend):
    inputs = [tensor.to(device) for tensor in problem(70, size=4, outputs=9)]
    first = random_resets(70).to(device)

    def layer(base, x, shift):
        y, last = srwm(base, x.softmax(-1), first, shift)
        return y.relu(), 2 * last

    whole = torch.compile(layer, fullgraph=True, backend=backend)
    cotangents = cotangents_of(inputs)
    torch.testing.assert_close(
        values_and_gradients(whole, inputs, cotangents),
        values_and_gradients(layer, inputs, cotangents),
        rtol=1e-4,
        atol=1e-5,
    )


def test_the_references_can_be_asked_for_and_are_only_meanwhile():
    arguments = problem(2)
    for error in (None, RuntimeError):
        with contextlib.suppress(RuntimeError), kernels.references_only():
            assert not fused.available(*arguments)
            if error:
                raise error
        assert fused.available(*arguments)


@pytest.fixture
def forgetful():
    """Kernels are looked for anew, and again after the test."""
    kernels._library.cache_clear()
    yield
    kernels._library.cache_clear()


def test_without_a_compiler_the_reference_is_used(forgetful, monkeypatch, caplog):
    monkeypatch.delenv("CXX", raising=False)
    monkeypatch.setenv("PATH", "")
    inputs, first = problem(), random_resets(T)
    with caplog.at_level(logging.WARNING):
        for _ in range(2):
            actual = values_and_gradients(unroll(srwm, first), inputs, cotangents_of(inputs))
    expected = values_and_gradients(unroll(reference.srwm, first), inputs, cotangents_of(inputs))
    torch.testing.assert_close(actual, expected, rtol=0, atol=0)
    (record,) = caplog.records
    assert record.getMessage() == (
        "srwm.cpp: using the slower reference: no C++ compiler was found (g++, clang++, or $CXX)"
    )


@pytest.mark.parametrize("kind", ["large", "float64", "float16"])
def test_what_the_kernel_cannot_do_is_left_to_the_reference(forgetful, caplog, device, kind):
    dtype = {"large": torch.float32, "float64": torch.float64, "float16": torch.float16}[kind]
    base, x, shift = problem(size=33 if kind == "large" else D)
    inputs, first = [base.to(device), x.to(device, dtype), shift.to(device)], random_resets(T)
    first = first.to(device)
    with caplog.at_level(logging.WARNING):
        actual = [unroll(srwm, first)(*inputs) for _ in range(2)]
    expected = unroll(reference.srwm, first)(*inputs)
    torch.testing.assert_close(actual, [expected] * 2, rtol=0, atol=0)
    assert expected[0].dtype == dtype
    # Only a size that a person chose deserves a warning, and one is enough.
    assert len(caplog.records) == (kind == "large")
    assert "heads of size 33" in caplog.text or kind != "large"
