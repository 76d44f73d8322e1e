"""What holds for every recurrent core, and what each one computes."""

from itertools import pairwise
from typing import get_args

import numpy as np
import pytest
import torch

from agents.config import AgentConfig, HeadInputName, LSTMConfig, SRWMConfig, StackConfig
from agents.cores import CORES
from agents.cores.fake_srwm import FakeSRWM
from agents.cores.lstm import LSTM
from agents.cores.no_carry import NoCarry
from agents.cores.srwm import draw_base
from agents.cores.stack import Stack

T, B, F = 8, 4, 5
HEADS, SIZE = 2, 3
STACK = {"hidden_size": HEADS * SIZE, "layers": 2, "heads": HEADS, "feedforward_factor": 2}


def config(input="layernorm"):
    return AgentConfig(
        lstm=LSTMConfig(hidden_size=6),
        srwm=SRWMConfig.model_validate({**STACK, "input": input}),
        delta=StackConfig(**STACK),
    )


CONFIG = config()
EXACT = {"rtol": 1e-9, "atol": 1e-11}  # float64, sums in another order

MEMORYLESS = ("feedforward", "fake_srwm")
every_core = pytest.mark.parametrize("name", CORES)


def make(name, unroll_length=6, input="layernorm"):
    """Return a core; the window of a memory that is not carried over ends inside T."""
    torch.manual_seed(0)
    return CORES[name](config(input), F, unroll_length).double()


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


def emptied(core, state):
    """Return a state as an episode's start makes it: zeros, but for the count of a window."""
    zeros = core.initial_state(len(state[0])) if state else ()
    return (*zeros[:-1], state[-1]) if isinstance(core, NoCarry) else zeros


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
        ("delta", [(B, 2, 3, 3)] * 2),
        ("fake_srwm", []),
        ("srwm", [(B, 2, 3 * 3 + 4, 3)] * 2),
        ("srwm_no_carry", [*[(B, 2, 3 * 3 + 4, 3)] * 2, (B,)]),
        ("sr_delta", [(B, 2, (3 * 3 + 1) + 2 * 3 + 4, 3), (B, 2, 3, 3)] * 2),
    ],
)
def test_state_shapes(name, shapes):
    state = CORES[name](CONFIG, F, T).initial_state(B)
    assert [(*tensor.shape,) for tensor in state] == shapes
    assert all(tensor.dtype == torch.float32 for tensor in state)


@every_core
def test_a_reset_inside_equals_splitting_there(name):
    """Each environment alone, cut at its own resets, each piece from zeros and without `first`.

    Values, and the gradients of parameters, inputs and the carried state.
    """
    core = make(name)
    x, first = inputs()
    x.requires_grad_()
    state = tuple(tensor.requires_grad_() for tensor in carried(core))
    generator = torch.Generator().manual_seed(3)

    y, last = core(x, first, state)
    cotangents = [
        torch.randn(out.shape, generator=generator, dtype=out.dtype) for out in (y, *last)
    ]

    def gradients(outputs, cotangents):
        loss = sum((o * c).sum() for o, c in zip(outputs, cotangents, strict=True))
        leaves = [*core.parameters(), x, *state]
        return torch.autograd.grad(loss, leaves, allow_unused=True, materialize_grads=True)

    whole = gradients((y, *last), cotangents)

    columns, ends = [], []
    for b in range(B):
        cuts = [0, *(t for t in range(1, T) if first[t, b]), T]
        end = tuple(s[b : b + 1] for s in state)
        if first[0, b]:
            end = emptied(core, end)
        pieces = []
        for start, stop in pairwise(cuts):
            if start:
                end = emptied(core, end)
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


@pytest.mark.parametrize("name", [name for name in CORES if name not in MEMORYLESS])
def test_memory_reaches_over_the_unroll(name):
    """A changed first step is felt in the last one, but not over a reset."""
    core = make(name, unroll_length=100)
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
        if tensor.dim() > 1:  # a window's count is no memory, and no episode's start touches it
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


# The paper's memories for one step of one environment, in numpy. Each takes the weights of its
# layer, its input h and the fast weights of its heads (None where an episode opens), and returns
# what the heads say, the new fast weights, and per head what `FastWeights` tells of the step.


def softmax(z):
    exponentials = np.exp(z - z.max())
    return exponentials / exponentials.sum()


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def entropy(p):
    return -(p * np.log(p)).sum()


def self_modify(base, x, shift, outputs):
    """Equations 5 to 8 of Irie et al. 2022 for one head."""
    matrix = base + shift
    y, q, k, b = np.split(matrix @ x, np.cumsum([outputs, SIZE, SIZE]))
    rates = sigmoid(b)
    rate_of_row = np.repeat(rates, [outputs, SIZE, SIZE, 4])
    key, query = softmax(k), softmax(q)
    change = np.outer(rate_of_row * (matrix @ query - matrix @ key), key)
    told = {
        **dict(zip(("y", "q", "k", "beta"), rates, strict=True)),
        "change": np.linalg.norm(change),
        "shift": np.linalg.norm(shift + change) / np.linalg.norm(base),
        "key_entropy": entropy(key),
        "query_entropy": entropy(query),
        "norm": np.linalg.norm(matrix + change),
    }
    return y, shift + change, told


def delta_rule(q, k, v, beta, matrix):
    """Schlag et al. 2021, equation 24: the value under the key is replaced in part."""
    old = matrix @ k
    new = beta * v + (1 - beta) * old
    after = matrix - np.outer(old, k) + np.outer(new, k)
    return after @ q, after


def normalise(h, weight, bias):
    return (h - h.mean()) / np.sqrt(h.var() + 1e-5) * weight + bias


def read(weights, h):
    """Return what each head reads [H, D] of a layer's input, in the form that `input` names."""
    if weights["input"] == "layernorm":
        h = normalise(h, weights["inputs.normalise.weight"], weights["inputs.normalise.bias"])
    parts = h.reshape(HEADS, SIZE)
    return [softmax(part) for part in parts] if weights["input"] == "softmax" else parts


def srwm_memory(weights, h, fast):
    said, after, told = [], [], []
    for head, x in enumerate(read(weights, h)):
        base = weights["base"][head]
        shift = np.zeros_like(base) if fast is None else fast[head]
        y, shift, tells = self_modify(base, x, shift, SIZE)
        said.append(y)
        after.append(shift)
        told.append(tells)
    return np.concatenate(said), after, told


def fake_srwm_memory(weights, h, fast):
    heads = [weights["base"][head] @ x for head, x in enumerate(read(weights, h))]
    return np.concatenate(heads), None, []


def delta_memory(weights, h, fast):
    normal = normalise(h, weights["normalise.weight"], weights["normalise.bias"])
    said, after, told = [], [], []
    blocks = np.split(weights["programme.weight"] @ normal, [n * HEADS * SIZE for n in (1, 2, 3)])
    for head, (q, k, v, b) in enumerate(zip(*(x.reshape(HEADS, -1) for x in blocks), strict=True)):
        q, k = (np.where(z > 0, z + 1, np.exp(z)) for z in (q, k))
        q, k = (z / (z.sum() + 1e-5) for z in (q, k))
        before = np.zeros((SIZE, SIZE)) if fast is None else fast[head]
        y, matrix = delta_rule(q, k, v, sigmoid(b), before)
        tells = {
            "beta": sigmoid(b)[0],
            "change": np.linalg.norm(matrix - before),
            "shift": np.linalg.norm(matrix),
            "key_entropy": entropy(k),
            "query_entropy": entropy(q),
            "norm": np.linalg.norm(matrix),
        }
        said.append(y)
        after.append(matrix)
        told.append(tells)
    return np.concatenate(said), after, told


def sr_delta_memory(weights, h, fast):
    said, after, told = [], [], []
    for head, x in enumerate(read(weights, h)):
        base = weights["base"][head]
        shift, matrix = (
            (np.zeros_like(base), np.zeros((SIZE, SIZE))) if fast is None else fast[head]
        )
        out, shift, tells = self_modify(base, x, shift, 3 * SIZE + 1)
        q, k, v, b = np.split(out, [SIZE, 2 * SIZE, 3 * SIZE])
        y, matrix = delta_rule(softmax(q), softmax(k), v, sigmoid(b), matrix)
        said.append(y)
        after.append((shift, matrix))
        told.append(tells)
    return np.concatenate(said), after, told


MEMORIES = {
    "delta": delta_memory,
    "fake_srwm": fake_srwm_memory,
    "srwm": srwm_memory,
    "sr_delta": sr_delta_memory,
}


def paper(core, memory, x, first, input):
    """Run the paper's RL network over one environment: x [T, F] and first [T], in numpy.

    The heads of its self-referential matrices read their layer's input in the form `input`.

    Returns y [T, hidden], and per layer, step and head what the memory tells.
    """
    weights = {name: value.detach().numpy() for name, value in core.named_parameters()}

    def of(prefix):
        return {k.removeprefix(prefix): v for k, v in weights.items() if k.startswith(prefix)}

    fast, said, told = [None, None], [], [[], []]
    for x_t, opens in zip(x, first, strict=True):
        h = weights["inputs.weight"] @ x_t + weights["inputs.bias"]
        for layer in range(2):
            own = {**of(f"memories.{layer}."), "input": input}
            heads, fast[layer], tells = memory(own, h, None if opens else fast[layer])
            told[layer].append(tells)
            h = h + own["project.weight"] @ heads
            block = of(f"feedforwards.{layer}.block.")
            normal = normalise(h, block["0.weight"], block["0.bias"])
            wide = np.maximum(block["1.weight"] @ normal + block["1.bias"], 0)
            h = h + block["3.weight"] @ wide + block["3.bias"]
        said.append(h)
    return np.array(said), told


def scrambled(name, input):
    """Return a core whose normalisations are no longer the identity that they start as."""
    core = make(name, input=input)
    assert isinstance(core, Stack)
    with torch.no_grad():
        for parameter in core.parameters():
            parameter += 0.3 * torch.randn_like(parameter)
    return core


every_input = pytest.mark.parametrize("input", get_args(HeadInputName))


@every_input
@pytest.mark.parametrize("name", MEMORIES)
def test_a_stack_equals_the_papers_network(name, input):
    core = scrambled(name, input)
    x, first = inputs()
    first[0] = True
    y, _ = core(x, first, core.initial_state(B))
    for b in range(B):
        expected, _ = paper(core, MEMORIES[name], x[:, b].numpy(), first[:, b].numpy(), input)
        np.testing.assert_allclose(y[:, b].detach().numpy(), expected, **EXACT)


@every_input
@pytest.mark.parametrize("name", ["delta", "srwm", "sr_delta"])
def test_introspection_tells_what_the_paper_computes(name, input):
    core = scrambled(name, input)
    x, first = inputs()
    first[0] = True
    layers = core.introspect(x, first, core.initial_state(B))
    assert len(layers) == 2
    for b in range(B):
        _, told = paper(core, MEMORIES[name], x[:, b].numpy(), first[:, b].numpy(), input)
        for layer, steps in zip(layers, told, strict=True):
            ours = {**layer.rates, **layer._asdict()}
            del ours["rates"]
            assert ours.pop("size") == SIZE
            assert not any(values.requires_grad for values in ours.values())
            assert ours.keys() == steps[0][0].keys()
            for quantity, values in ours.items():
                expected = [[head[quantity] for head in heads] for heads in steps]
                np.testing.assert_allclose(values[:, b].numpy(), expected, **EXACT)


@pytest.mark.parametrize("name", [*MEMORYLESS, "lstm"])
def test_a_core_without_fast_weights_has_nothing_to_tell(name):
    core = make(name)
    assert core.introspect(*inputs(), carried(core)) == []
    assert core.row_blocks() == []


@pytest.mark.parametrize(
    ("name", "sizes"),
    [
        ("delta", {"q": HEADS * SIZE, "k": HEADS * SIZE, "v": HEADS * SIZE, "beta": HEADS}),
        ("srwm", {"y": SIZE, "q": SIZE, "k": SIZE, "beta": 4}),
        ("srwm_no_carry", {"y": SIZE, "q": SIZE, "k": SIZE, "beta": 4}),
        ("sr_delta", {"y": 3 * SIZE + 1, "q": SIZE, "k": SIZE, "beta": 4}),
    ],
)
def test_the_row_blocks_make_what_they_are_named_after(name, sizes):
    """Without the rows of one block, a first step differs in what that block makes alone."""
    core = make(name)
    x, first = inputs()
    x, first, state = x[:1], torch.ones_like(first[:1]), core.initial_state(B)

    def made():
        (layer, _) = core.introspect(x, first, state)
        return {"q": layer.query_entropy, "k": layer.key_entropy, "beta": layer.rates["beta"]}

    before = made()
    for blocks in core.row_blocks():
        assert {block: rows.size for block, rows in blocks.items()} == sizes
        (parameter,) = {rows.parameter for rows in blocks.values()}
        total = sum(rows.value().numel() for rows in blocks.values())
        assert total == parameter.numel()
    for name, rows in core.row_blocks()[0].items():
        kept = rows.value().clone()
        rows.value().zero_()
        different = {other for other, now in made().items() if not torch.equal(now, before[other])}
        assert different == {name} & before.keys()
        rows.value().copy_(kept)


def test_the_gradient_of_a_row_block_is_that_of_its_rows():
    core = make("srwm")
    blocks = core.row_blocks()[1]
    assert [block.gradient().shape for block in blocks.values()] == [
        (HEADS, rows, SIZE) for rows in (SIZE, SIZE, SIZE, 4)
    ]
    assert not any(block.gradient().any() for block in blocks.values())
    base = core.memories[1].base
    base.grad = torch.arange(base.numel(), dtype=base.dtype).reshape(base.shape)
    assert torch.equal(blocks["y"].gradient(), base.grad[:, :3])
    assert torch.equal(blocks["beta"].gradient(), base.grad[:, 9:])


@every_core
def test_introspection_of_an_unroll_is_that_of_its_steps(name):
    """From a carried state, over resets and a window's end."""
    core = make(name)
    x, first = inputs()
    state = carried(core)
    whole = core.introspect(x, first, state)
    steps = []
    for t in range(T):
        now = slice(t, t + 1)
        steps.append(core.introspect(x[now], first[now], state))
        _, state = core(x[now], first[now], state)
    for layer, *pieces in zip(whole, *steps, strict=True):
        for quantity in ("change", "shift", "key_entropy", "query_entropy", "norm"):
            joined = torch.cat([getattr(piece, quantity) for piece in pieces])
            torch.testing.assert_close(getattr(layer, quantity), joined, **EXACT)
        for block, rates in layer.rates.items():
            joined = torch.cat([piece.rates[block] for piece in pieces])
            torch.testing.assert_close(rates, joined, **EXACT)


def test_delta_net_keeps_its_keys_finite_where_elu_plus_one_vanishes():
    core = make("delta")
    with torch.no_grad():
        core.memories[0].programme.weight.fill_(-1e4)
    x, first = inputs()
    y, state = core(x, first, core.initial_state(B))
    assert all(tensor.isfinite().all() for tensor in (y, *state))


WINDOW = 3


def windowed_and_plain():
    core = make("srwm_no_carry", WINDOW)
    assert isinstance(core, NoCarry)
    return core, core.core


def test_without_carry_each_window_is_the_srwm_from_its_zero_state():
    """Unrolls of T + 1 steps as a learner sees them: the last one is the next one's first."""
    core, plain = windowed_and_plain()
    x, first = inputs()
    state = core.initial_state(B)
    for start in range(0, T - WINDOW, WINDOW):
        now, all_of_it = slice(start, start + WINDOW), slice(start, start + WINDOW + 1)
        seen, _ = core(x[all_of_it], first[all_of_it], state)
        y, _ = plain(x[now], first[now], plain.initial_state(B))
        torch.testing.assert_close(seen[:-1], y, **EXACT)
        after = slice(start + WINDOW, start + WINDOW + 1)
        y, _ = plain(x[after], first[after], plain.initial_state(B))
        torch.testing.assert_close(seen[-1:], y, **EXACT)
        _, state = core(x[now], first[now], state)


def test_without_carry_the_windows_go_on_over_resets_and_unrolls_of_any_length():
    core, plain = windowed_and_plain()
    x, first = inputs()
    state = core.initial_state(B)
    pieces, told = [], []
    for start, stop in [(0, 2), (2, 7), (7, T)]:
        told += [layer.change for layer in core.introspect(x[start:stop], first[start:stop], state)]
        y, state = core(x[start:stop], first[start:stop], state)
        pieces.append(y)
    opens = first.clone()
    opens[::WINDOW] = True
    y, _ = plain(x, opens, plain.initial_state(B))
    torch.testing.assert_close(torch.cat(pieces), y, **EXACT)
    assert state[-1].tolist() == [T % WINDOW] * B
    for layer, expected in enumerate(plain.introspect(x, opens, plain.initial_state(B))):
        torch.testing.assert_close(torch.cat(told[layer::2]), expected.change, **EXACT)
    # The test can see a difference.
    y, _ = plain(x, first, plain.initial_state(B))
    assert not torch.allclose(torch.cat(pieces), y)


# By hand: 256 features and the last reward, hidden 128, 2 layers, 8 heads x 16.
INPUTS = 257 * 128 + 128
PROJECT = 128 * 128
NORM = 128 + 128
FEEDFORWARD = NORM + 128 * 512 + 512 + 512 * 128 + 128
SRWM_ROWS = 16 + 16 + 16 + 4  # y, q, k and b
COUNTS = {
    "feedforward": 0,
    "lstm": 4 * (257 * 256 + 256 * 256 + 2 * 256),  # four gates; torch has two biases
    "delta": INPUTS + 2 * (NORM + 128 * 8 * (3 * 16 + 1) + PROJECT + FEEDFORWARD),
    "fake_srwm": INPUTS + 2 * (8 * 16 * 16 + PROJECT + FEEDFORWARD),
    "srwm": INPUTS + 2 * (8 * SRWM_ROWS * 16 + PROJECT + FEEDFORWARD),
    "srwm_no_carry": INPUTS + 2 * (8 * SRWM_ROWS * 16 + PROJECT + FEEDFORWARD),
    "sr_delta": INPUTS + 2 * (8 * ((3 * 16 + 1) + 16 + 16 + 4) * 16 + PROJECT + FEEDFORWARD),
}
SELF_REFERENTIAL = ("fake_srwm", "srwm", "srwm_no_carry", "sr_delta")


@every_input
@every_core
def test_a_core_has_the_papers_size(name, input):
    """But for the normalisation of the heads' input, if it has one."""
    agent = AgentConfig(srwm=SRWMConfig(input=input))
    core = CORES[name](agent, 256 + 1, 50)
    own = 2 * NORM if input == "layernorm" and name in SELF_REFERENTIAL else 0
    assert sum(parameter.numel() for parameter in core.parameters()) == COUNTS[name] + own


def test_the_counts_are_those_of_the_table():
    """agents/cores/README.md has them in figures."""
    assert list(COUNTS.values()) == [0, 527_360, 430_592, 333_824, 343_040, 343_040, 351_488]


@pytest.mark.parametrize("outputs", [16, 3 * 16 + 1])
@pytest.mark.parametrize("scales", [(1, 1), (1, 8), (0.5, 3)], ids=str)
def test_a_base_is_drawn_as_in_the_paper_but_for_the_scales(outputs, scales):
    """normal(0, 1/sqrt(D)); in RL the learning rates' rows have mean 0 like the others."""
    torch.manual_seed(0)
    base = draw_base(32, 16, outputs, *scales).detach()
    assert base.shape == (32, outputs + 2 * 16 + 4, 16)
    for rows, scale in zip(base.split([outputs, 16, 16, 4], 1), (1, *scales, 1), strict=True):
        error = rows.numel() ** -0.5  # of the mean, in units of the deviation
        assert abs(rows.mean() / scale * 4) < 4 * error
        assert abs(rows.std() / scale * 4 - 1) < 4 * error


def test_the_matrix_that_stays_is_drawn_like_the_one_that_does_not():
    torch.manual_seed(0)
    base = FakeSRWM(hidden_size=32 * 16, heads=32, input="layernorm").base.detach()
    assert abs(base.std() * 4 - 1) < 4 * base.numel() ** -0.5
