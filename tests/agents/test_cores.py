"""What holds for every recurrent core, and what each one computes."""

from itertools import pairwise

import numpy as np
import pytest
import torch

from agents.config import AgentConfig, LSTMConfig, SRWMConfig
from agents.cores import CORES
from agents.cores.lstm import LSTM
from agents.cores.srwm import SRWM, SRWMLayer

T, B, F = 8, 4, 5
CONFIG = AgentConfig(
    lstm=LSTMConfig(hidden_size=6),
    srwm=SRWMConfig(hidden_size=6, layers=2, heads=2, feedforward_factor=2),
)
EXACT = {"rtol": 1e-9, "atol": 1e-11}  # float64, sums in another order

every_core = pytest.mark.parametrize("name", CORES)


def make(name):
    torch.manual_seed(0)
    return CORES[name](CONFIG, F).double()


def inputs(seed=1):
    """Return x, first with resets at 0, inside, in a row and at T-1, and none for the last one."""
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(T, B, F, generator=generator, dtype=torch.float64)
    first = torch.zeros(T, B, dtype=torch.bool)
    for t, b in [(0, 0), (3, 0), (4, 1), (5, 1), (T - 1, 2)]:
        first[t, b] = True
    return x, first


def carried(core, seed=2):
    """Return a state as an earlier unroll leaves it."""
    x = torch.randn(3, B, F, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    _, state = core(x, torch.zeros(3, B, dtype=torch.bool), core.initial_state(B))
    return tuple(tensor.detach() for tensor in state)


@every_core
def test_the_initial_state_is_zeros_of_the_batch(name):
    core = make(name)
    state = core.initial_state(B)
    assert all(tensor.shape[0] == B and not tensor.any() for tensor in state)
    y, after = core(*inputs(), state)
    assert y.shape == (T, B, core.output_size)
    assert [tensor.shape for tensor in after] == [tensor.shape for tensor in state]


@pytest.mark.parametrize(
    ("name", "shapes"),
    [
        ("feedforward", []),
        ("lstm", [(B, 6), (B, 6)]),
        ("srwm", [(B, 2, 3 * 3 + 4, 3)] * 2),
    ],
)
def test_state_shapes(name, shapes):
    state = CORES[name](CONFIG, F).initial_state(B)
    assert [(*tensor.shape,) for tensor in state] == shapes
    assert all(tensor.dtype == torch.float32 for tensor in state)


@every_core
def test_a_reset_inside_equals_splitting_there(name):
    """Each environment alone, cut at its own resets, each piece from zeros and without `first`."""
    core = make(name)
    x, first = inputs()
    state = carried(core)
    generator = torch.Generator().manual_seed(3)

    y, last = core(x, first, state)
    cotangents = [
        torch.randn(out.shape, generator=generator, dtype=out.dtype) for out in (y, *last)
    ]

    def gradients(outputs, cotangents):
        loss = sum((o * c).sum() for o, c in zip(outputs, cotangents, strict=True))
        core.zero_grad()
        if loss.requires_grad:
            loss.backward()
        return [parameter.grad for parameter in core.parameters()]

    whole = gradients((y, *last), cotangents)

    columns, ends = [], []
    for b in range(B):
        cuts = [0, *(t for t in range(1, T) if first[t, b]), T]
        end = core.initial_state(1) if first[0, b] else tuple(s[b : b + 1] for s in state)
        pieces = []
        for start, stop in pairwise(cuts):
            if start:
                end = core.initial_state(1)
            never = torch.zeros(stop - start, 1, dtype=torch.bool)
            piece, end = core(x[start:stop, b : b + 1], never, end)
            pieces.append(piece)
        columns.append(torch.cat(pieces))
        ends.append(end)
    split = (torch.cat(columns, 1), *(torch.cat(parts) for parts in zip(*ends, strict=True)))

    torch.testing.assert_close((y, *last), split, **EXACT)
    torch.testing.assert_close(whole, gradients(split, cotangents), **EXACT)


@every_core
def test_one_unroll_equals_single_steps(name):
    core = make(name)
    x, first = inputs()
    state = start = carried(core)
    steps = []
    for t in range(T):
        y, state = core(x[t : t + 1], first[t : t + 1], state)
        steps.append(y)
    torch.testing.assert_close(core(x, first, start), (torch.cat(steps), state), **EXACT)


@every_core
def test_after_a_reset_at_the_last_step_the_state_knows_that_step_alone(name):
    core = make(name)
    x, first = inputs()
    first[T - 1] = True
    other, _ = inputs(seed=7)
    other[T - 1] = x[T - 1]
    y, state = core(x, first, carried(core))
    other_y, other_state = core(other, first, carried(core, seed=8))
    torch.testing.assert_close((y[-1], state), (other_y[-1], other_state), **EXACT)
    # The test can see a difference: one step later it would.
    assert not torch.allclose(y[:-1], other_y[:-1])


@pytest.mark.parametrize("name", [name for name in CORES if name != "feedforward"])
def test_memory_reaches_over_the_unroll(name):
    """A changed first step is felt in the last one, but not over a reset."""
    core = make(name)
    x, first = inputs()
    first[:] = False
    first[4, 0] = True
    changed = x.clone()
    changed[0] += 1
    y, _ = core(x, first, carried(core))
    other, _ = core(changed, first, carried(core))
    difference = (y[-1] - other[-1]).abs().amax(-1)
    assert difference[0] < 1e-12
    assert (difference[1:] > 1e-6).all()


@every_core
def test_environments_do_not_influence_each_other(name):
    core = make(name)
    x, first = inputs()
    state = carried(core)
    y, last = core(x, first, state)
    mine, others = 1, [0, 2, 3]
    x = x.clone()
    x[:, mine] += 1
    first[:, mine] = ~first[:, mine]
    state = tuple(tensor.clone() for tensor in state)
    for tensor in state:
        tensor[mine] += 1
    other_y, other_last = core(x, first, state)
    torch.testing.assert_close(other_y[:, others], y[:, others], **EXACT)
    for tensor, other in zip(last, other_last, strict=True):
        torch.testing.assert_close(other[others], tensor[others], **EXACT)
    assert not torch.allclose(other_y[:, mine], y[:, mine])


@every_core
def test_a_poisoned_state_does_not_survive_a_reset(name):
    core = make(name)
    x, first = inputs()
    state = tuple(tensor.clone() for tensor in carried(core))
    for tensor in state:
        tensor[0] = float("nan")
    y, last = core(x, first, state)
    assert all(tensor.isfinite().all() for tensor in (y, *last))


def test_lstm_equals_the_textbook_cell():
    """Hochreiter & Schmidhuber 1997 with forget gates; torch stacks the gates as i, f, g, o."""
    hidden_size = 6
    core = make("lstm")
    assert isinstance(core, LSTM)
    x, first = inputs()
    state = carried(core)
    weights = {name: value.detach().numpy() for name, value in core.lstm.named_parameters()}

    def sigmoid(z):
        return 1 / (1 + np.exp(-z))

    y, (last_h, last_c) = core(x, first, state)
    for b in range(B):
        h, c = (tensor[b].numpy() for tensor in state)
        for t in range(T):
            if first[t, b]:
                h, c = np.zeros(hidden_size), np.zeros(hidden_size)
            z = (
                weights["weight_ih_l0"] @ x[t, b].numpy()
                + weights["bias_ih_l0"]
                + weights["weight_hh_l0"] @ h
                + weights["bias_hh_l0"]
            )
            i, f, g, o = np.split(z, 4)
            c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
            h = sigmoid(o) * np.tanh(c)
            np.testing.assert_allclose(y[t, b].detach().numpy(), h, **EXACT)
        np.testing.assert_allclose(last_h[b].detach().numpy(), h, **EXACT)
        np.testing.assert_allclose(last_c[b].detach().numpy(), c, **EXACT)


def test_feedforward_is_the_identity():
    x, first = inputs()
    y, state = make("feedforward")(x, first, ())
    assert torch.equal(y, x)
    assert state == ()


def test_srwm_stack_equals_the_papers_blocks():
    """First step from zero: y = W phi(x) by head, projected, residual; then the feed-forward."""
    core = make("srwm")
    assert isinstance(core, SRWM)
    x, _ = inputs()
    y, _ = core(x[:1], torch.ones(1, B, dtype=torch.bool), core.initial_state(B))
    weights = {name: value.detach().numpy() for name, value in core.named_parameters()}
    heads, size = 2, 3
    for b in range(B):
        h = weights["inputs.weight"] @ x[0, b].numpy() + weights["inputs.bias"]
        for layer in range(2):
            base = weights[f"memories.{layer}.base"]
            answers = []
            for head in range(heads):
                part = np.exp(h[head * size : (head + 1) * size])
                answers.append((base[head] @ (part / part.sum()))[:size])
            h = h + weights[f"memories.{layer}.project.weight"] @ np.concatenate(answers)
            block = f"feedforwards.{layer}.block"
            normal = (h - h.mean()) / np.sqrt(h.var() + 1e-5)
            normal = normal * weights[f"{block}.0.weight"] + weights[f"{block}.0.bias"]
            wide = np.maximum(weights[f"{block}.1.weight"] @ normal + weights[f"{block}.1.bias"], 0)
            h = h + weights[f"{block}.3.weight"] @ wide + weights[f"{block}.3.bias"]
        np.testing.assert_allclose(y[0, b].detach().numpy(), h, **EXACT)


def test_srwm_has_the_papers_size():
    core = CORES["srwm"](AgentConfig(), 256 + 1)
    inputs = 257 * 128 + 128
    base = 8 * (16 + 16 + 16 + 4) * 16  # heads x (y, q, k and b rows) x inputs a head
    project = 128 * 128
    norm = 128 + 128
    feedforward = 128 * 512 + 512 + 512 * 128 + 128
    expected = inputs + 2 * (base + project + norm + feedforward)
    assert expected == 343_040  # 33 024 + 2 * (6 656 + 16 384 + 256 + 131 712)
    assert sum(parameter.numel() for parameter in core.parameters()) == expected


def test_srwm_base_is_drawn_as_in_the_paper():
    """normal(0, 1/sqrt(D)); in RL the learning rates' rows have mean 0 like the others."""
    torch.manual_seed(0)
    base = SRWMLayer(hidden_size=512, heads=32).base.detach()
    assert base.shape == (32, 3 * 16 + 4, 16)
    for rows in (base, base[:, -4:]):
        error = rows.numel() ** -0.5  # of the mean, in units of the deviation
        assert abs(rows.mean() * 4) < 4 * error
        assert abs(rows.std() * 4 - 1) < 4 * error
