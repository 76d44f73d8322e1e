"""The delta rule: the reference against its equations, the fused kernel against the reference."""

import numpy as np
import pytest
import torch

from agents.ops.delta import delta, fused, reference
from agents.ops.kernels import SEGMENT
from tests.agents.kernels import (
    DEVICES,
    poisoned_memory,
    relative_error,
    values_and_gradients,
)

T, B, H, D, E = 7, 3, 5, 4, 6
NAMES = ["y", "last weights", "dq", "dk", "dv", "dbeta", "dweights"]
RESETS = {
    "none": lambda t, b: False,
    "start": lambda t, b: t == 0 and b == 1,
    "middle": lambda t, b: t == 3 + b,
    "end": lambda t, b: t == T - 1 and b != 1,
    "several in a row": lambda t, b: b == 1 and 2 <= t <= 4,
    "everyone": lambda t, b: t == 3,
    "every step": lambda t, b: True,
}


@pytest.fixture(params=DEVICES)
def device(request):
    return request.param


def first_of(reset, steps=T, batch=B):
    return torch.tensor([[reset(t, b) for b in range(batch)] for t in range(steps)])


def random_resets(steps, batch=B, rate=0.05):
    return torch.rand(steps, batch, generator=torch.Generator().manual_seed(1)) < rate


def problem(steps=T, batch=B, heads=H, size=D, outputs=E):
    """Return float64 q, k (positive, of sum 1, as the layer makes them), v, beta and weights."""
    generator = torch.Generator().manual_seed(0)

    def normal(*shape):
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    def positive(x):
        x = torch.nn.functional.elu(x) + 1
        return x / x.sum(-1, keepdim=True)

    q, k = (positive(normal(steps, batch, heads, size)) for _ in range(2))
    v, beta = normal(steps, batch, heads, outputs), normal(steps, batch, heads).sigmoid()
    return [q, k, v, beta, normal(batch, heads, outputs, size)]


def cotangents_of(inputs):
    """Return random ones of y and of the last weights."""
    generator = torch.Generator().manual_seed(2)
    like = (inputs[2], inputs[4])
    return [torch.randn(t.shape, generator=generator, dtype=torch.float64) for t in like]


def unroll(op, first):
    """Return `op` as a function of all that has a gradient."""
    return lambda q, k, v, beta, weights: op(q, k, v, beta, first, weights)


def both(inputs, first, device):
    """Return values and gradients of the fused kernel in float32, and of the reference in float64.

    The reference gets the inputs as float32 rounds them.
    """
    single = [tensor.float() for tensor in inputs]
    cotangents = [tensor.float() for tensor in cotangents_of(inputs)]
    with poisoned_memory():
        ours = values_and_gradients(
            unroll(fused.delta, first.to(device)),
            [tensor.to(device) for tensor in single],
            [tensor.to(device) for tensor in cotangents],
        )
    truth = values_and_gradients(
        unroll(reference.delta, first),
        [tensor.double() for tensor in single],
        [tensor.double() for tensor in cotangents],
    )
    return ours, truth


def assert_equal(ours, truth, forward=1e-5, gradients=1e-4):
    for i, (name, actual, expected) in enumerate(zip(NAMES, ours, truth, strict=True)):
        error = relative_error(actual, expected)
        assert error < (forward if i < 2 else gradients), f"{name}: relative RMS error {error:.1e}"


def paper(q, k, v, beta, first, weights):
    """The delta rule of Schlag et al. 2021 for one head of one environment, element by element."""
    size, outputs = len(k[0]), len(v[0])
    weights = weights.copy()
    y = np.zeros_like(v)
    for t in range(len(q)):
        if first[t]:
            weights[:] = 0
        retrieved = [
            sum(weights[row][column] * k[t][column] for column in range(size))
            for row in range(outputs)
        ]
        for row in range(outputs):
            for column in range(size):
                weights[row][column] += beta[t] * (v[t][row] - retrieved[row]) * k[t][column]
        for row in range(outputs):
            y[t][row] = sum(weights[row][column] * q[t][column] for column in range(size))
    return y, weights


@pytest.mark.parametrize("reset", RESETS.values(), ids=RESETS)
@pytest.mark.parametrize("outputs", [E, D, 1])
def test_reference_equals_the_equations(reset, outputs):
    inputs = problem(outputs=outputs)
    first = first_of(reset)
    y, last = unroll(reference.delta, first)(*inputs)
    q, k, v, beta, weights = (tensor.numpy() for tensor in inputs)
    for b in range(B):
        for h in range(H):
            at = (slice(None), b, h)
            expected_y, expected_last = paper(
                q[at], k[at], v[at], beta[at], first[:, b].numpy(), weights[b, h]
            )
            np.testing.assert_allclose(y[at].numpy(), expected_y, rtol=1e-11, atol=1e-13)
            np.testing.assert_allclose(last[b, h].numpy(), expected_last, rtol=1e-11, atol=1e-13)


@pytest.mark.parametrize("name", ["none", "start", "middle", "end"])
def test_reference_gradients_equal_finite_differences(name):
    steps, batch = 4, 2
    at = {"none": None, "start": (0, 0), "middle": (2, 1), "end": (steps - 1, 0)}[name]
    first = first_of(lambda t, b: (t, b) == at, steps, batch)
    inputs = problem(steps, batch, heads=2, size=3, outputs=2)
    inputs = [tensor.requires_grad_() for tensor in inputs]
    # gradcheck differentiates both outputs, y and the last weights, by all five inputs.
    assert torch.autograd.gradcheck(unroll(reference.delta, first), inputs, rtol=1e-5, atol=1e-8)


# 49 rows are two for most lanes; 65 of 24 are more than one warp has registers for.
@pytest.mark.parametrize(
    "size, outputs", [(1, 1), (3, 3), (4, 6), (6, 6), (8, 8), (16, 16), (16, 49), (24, 65), (32, 7)]
)
@pytest.mark.parametrize("steps", [1, 2, 50, 63, 257])
def test_fused_equals_the_reference(device, steps, size, outputs):
    inputs = problem(steps, size=size, outputs=outputs)
    assert_equal(*both(inputs, random_resets(steps), device))


@pytest.mark.parametrize("reset", RESETS.values(), ids=RESETS)
def test_fused_equals_the_reference_with_resets(device, reset):
    assert_equal(*both(problem(), first_of(reset), device))


@pytest.mark.parametrize("at", [SEGMENT - 1, SEGMENT, SEGMENT + 1, 2 * SEGMENT])
def test_fused_equals_the_reference_with_a_reset_near_a_checkpoint(device, at):
    first = first_of(lambda t, b: t == at + b - 1, steps=150)
    assert_equal(*both(problem(steps=150), first, device))


def test_rounding_does_not_pass_a_checkpoint(device):
    """Undoing what large values wrote leaves their rounding behind, but no further."""
    inputs = problem(steps=100)
    inputs[2][80:] *= 1e5
    ours, truth = both(inputs, first_of(RESETS["none"], steps=100), device)
    dq = NAMES.index("dq")
    assert relative_error(ours[dq][:SEGMENT], truth[dq][:SEGMENT]) < 1e-5


def test_threads_share_the_work():
    inputs, first = problem(steps=5, batch=13, heads=7), random_resets(5, batch=13, rate=0.3)
    torch.set_num_threads(2)  # until the end of this test, see conftest.py
    assert_equal(*both(inputs, first, "cpu"))


@pytest.mark.parametrize("cut", [1, SEGMENT, 90])
def test_a_reset_inside_equals_splitting_there(device, cut):
    """Values and gradients; no step of the split runs has `first` set."""
    steps = 100
    inputs = [tensor.float().to(device) for tensor in problem(steps)]
    cotangents = [tensor.float().to(device) for tensor in cotangents_of(inputs)]
    never = torch.zeros(steps, B, dtype=torch.bool, device=device)
    there = never.clone()
    there[cut] = True

    def split(q, k, v, beta, weights):
        sequences = (q, k, v, beta)
        before, _ = delta(*(s[:cut] for s in sequences), never[:cut], weights)
        after, last = delta(*(s[cut:] for s in sequences), never[cut:], torch.zeros_like(weights))
        return torch.cat([before, after]), last

    whole = values_and_gradients(unroll(delta, there), inputs, cotangents)
    assert_equal(whole, values_and_gradients(split, inputs, cotangents), 1e-6, 1e-6)


def test_precision_holds_over_a_long_episode(device):
    steps = 4000
    inputs = problem(steps, batch=1, heads=2, size=16, outputs=16)
    ours, truth = both(inputs, torch.zeros(steps, 1, dtype=torch.bool), device)
    for name, actual, expected in zip(NAMES, ours, truth, strict=True):
        error = relative_error(actual, expected)
        print(f"relative RMS error of {name} after {steps} steps: {error:.1e}")
    assert_equal(ours, truth, forward=1e-3, gradients=1e-3)


def test_bfloat16_sequences(device):
    """Only reading and writing rounds: to 8 bits, half a unit of which is 2^-9 at most."""
    inputs = problem(steps=70)
    *sequences, weights = inputs
    half = [*(s.bfloat16() for s in sequences), weights.float()]
    dy, d_last = cotangents_of(inputs)
    cotangents = [dy.bfloat16(), d_last.float()]
    first = random_resets(70)
    with poisoned_memory():
        ours = values_and_gradients(
            unroll(fused.delta, first.to(device)),
            [tensor.to(device) for tensor in half],
            [tensor.to(device) for tensor in cotangents],
        )
    truth = values_and_gradients(
        unroll(reference.delta, first),
        [tensor.double() for tensor in half],
        [tensor.double() for tensor in cotangents],
    )
    for name, actual, expected in zip(NAMES, ours, truth, strict=True):
        state = name.endswith("weights")
        assert actual.dtype == (torch.float32 if state else torch.bfloat16)
        assert relative_error(actual, expected) < (1e-5 if state else 2**-9), name


def test_inputs_may_be_strided_and_are_not_changed(device):
    inputs = [tensor.float().to(device) for tensor in problem()]
    cotangents = [tensor.float().to(device) for tensor in cotangents_of(inputs)]
    first = first_of(RESETS["middle"]).to(device)
    expected = values_and_gradients(unroll(fused.delta, first), inputs, cotangents)
    # The same numbers with the dimensions in memory in another order; `grad` works on the views.
    strided = [t.transpose(0, 1).contiguous().transpose(0, 1) for t in (*inputs, *cotangents)]
    before = [tensor.clone() for tensor in strided]
    inputs, cotangents = strided[:5], strided[5:]
    leaves = [tensor.requires_grad_() for tensor in inputs]
    outputs = unroll(fused.delta, first.t().contiguous().t())(*leaves)
    gradients = torch.autograd.grad(outputs, leaves, cotangents)
    torch.testing.assert_close([*outputs, *gradients], expected, rtol=0, atol=0)
    for tensor, copy in zip(strided, before, strict=True):
        assert torch.equal(tensor, copy)


@pytest.mark.parametrize("used", ["y", "last weights"])
def test_a_loss_of_one_output_alone(device, used):
    inputs = problem()
    first = first_of(RESETS["middle"])
    i = ["y", "last weights"].index(used)
    cotangent = cotangents_of(inputs)[i]
    results = []
    for op, dtype, place in (
        (fused.delta, torch.float32, device),
        (reference.delta, torch.float64, "cpu"),
    ):
        leaves = [tensor.to(place, dtype).requires_grad_() for tensor in inputs]
        output = unroll(op, first.to(place))(*leaves)[i]
        # The queries do not reach the last weights.
        results.append(
            torch.autograd.grad(
                output,
                leaves,
                cotangent.to(place, dtype),
                allow_unused=True,
                materialize_grads=True,
            )
        )
    for ours, truth in zip(*results, strict=True):
        assert relative_error(ours, truth) < 1e-5


def test_nothing_is_kept_where_nothing_learns(device):
    inputs = [tensor.float().to(device).requires_grad_() for tensor in problem(steps=130)]
    first = random_resets(130).to(device)
    learning = unroll(fused.delta, first)(*inputs)
    with torch.no_grad():
        acting = unroll(fused.delta, first)(*inputs)
    assert not acting[0].requires_grad
    torch.testing.assert_close(acting, learning, rtol=0, atol=0)


@pytest.mark.parametrize("learning", range(5), ids=["q", "k", "v", "beta", "weights"])
def test_one_input_alone_learns(device, learning):
    inputs = [tensor.float().to(device) for tensor in problem()]
    cotangents = [tensor.float().to(device) for tensor in cotangents_of(inputs)]
    first = first_of(RESETS["middle"]).to(device)
    expected = values_and_gradients(unroll(fused.delta, first), inputs, cotangents)
    inputs[learning].requires_grad_()
    outputs = unroll(fused.delta, first)(*inputs)
    (gradient,) = torch.autograd.grad(
        [output for output in outputs if output.requires_grad],
        inputs[learning],
        [c for c, output in zip(cotangents, outputs, strict=True) if output.requires_grad],
    )
    torch.testing.assert_close(gradient, expected[2 + learning], rtol=0, atol=0)


@pytest.mark.parametrize("poison", [float("nan"), float("inf")])
def test_poisoned_weights_do_not_survive_a_reset(device, poison):
    inputs = [tensor.float().to(device) for tensor in problem()]
    cotangents = [tensor.float().to(device) for tensor in cotangents_of(inputs)]
    first = torch.zeros(T, B, dtype=torch.bool, device=device)
    first[0, 1] = True
    clean = values_and_gradients(unroll(fused.delta, first), inputs, cotangents)
    inputs[-1][1] = poison
    poisoned = values_and_gradients(unroll(fused.delta, first), inputs, cotangents)
    torch.testing.assert_close(poisoned, clean, rtol=0, atol=0)


def test_torch_knows_the_operator(device):
    """Its schema, its fake and its autograd, as `torch.compile` needs them."""
    q, k, v, beta, weights = (tensor.float().to(device) for tensor in problem(steps=70))
    leaves = [tensor.requires_grad_() for tensor in (q, k, v, beta)]
    first = random_resets(70).to(device)
    torch.library.opcheck(fused._forward, (*leaves, first, weights.requires_grad_(), True))


@pytest.mark.parametrize("kind", ["float64", "mixed", "large"])
def test_what_the_kernel_cannot_do_is_left_to_the_reference(kind):
    inputs = problem(size=33 if kind == "large" else D)
    if kind != "float64":
        inputs = [tensor.float() for tensor in inputs]
    if kind == "mixed":
        inputs[2] = inputs[2].bfloat16()
    first = first_of(RESETS["middle"])
    expected = unroll(reference.delta, first)(*inputs)
    assert not fused.available(*inputs)
    assert expected[0].dtype == inputs[2].dtype
    torch.testing.assert_close(unroll(delta, first)(*inputs), expected, rtol=0, atol=0)


@pytest.mark.parametrize(
    "broken",
    [
        {"q": (T, B, H, D + 1)},
        {
            "q": (0, B, H, D),
            "k": (0, B, H, D),
            "v": (0, B, H, E),
            "beta": (0, B, H),
            "first": (0, B),
        },
        {"k": (T, B, H, D + 1)},
        {"k": (T + 1, B, H, D)},
        {"v": (T, B, H, E + 1)},
        {"beta": (T, B, H, 1)},
        {"beta": (T, B)},
        {"first": (T + 1, B)},
        {"first": (B, T)},
        {"first": (T, B, 1)},
        {"weights": (B, H, D, E)},
        {"weights": (H, E, D)},
    ],
    ids=str,
)
def test_shapes_that_disagree_are_refused(broken):
    shapes = {
        "q": (T, B, H, D),
        "k": (T, B, H, D),
        "v": (T, B, H, E),
        "beta": (T, B, H),
        "first": (T, B),
        "weights": (B, H, E, D),
    }
    tensors = {name: torch.zeros(broken.get(name, shape)) for name, shape in shapes.items()}
    tensors["first"] = tensors["first"].bool()
    with pytest.raises(ValueError, match=r"^delta: q .* do not agree$"):
        delta(**tensors)


@pytest.mark.parametrize("dtype", [torch.float32, torch.uint8, torch.int64])
def test_flags_have_to_be_bool(dtype):
    vectors, values, rates = torch.zeros(T, B, H, D), torch.zeros(T, B, H, E), torch.zeros(T, B, H)
    with pytest.raises(ValueError, match=f"^delta: first is {dtype} on cpu"):
        first = torch.zeros(T, B, dtype=dtype)
        delta(vectors, vectors, values, rates, first, torch.zeros(B, H, E, D))
