"""The supervised form of the stack: where its LayerNorm and its dropout are."""

import pytest
import torch
from torch import nn

from agents import ClassifierConfig
from agents.cores import CORES

T, B, F, HIDDEN = 3, 2, 5, 6
SIZES = {"hidden_size": HIDDEN, "layers": 2, "heads": 2, "feedforward_factor": 2}


def make(name, **options):
    torch.manual_seed(0)
    options = {"residual": "plain", **SIZES, **options}
    sections = ClassifierConfig.model_validate({"srwm": options, "delta": options})
    return CORES[name](sections, F, T).double()


def inputs():
    x = torch.randn(T, B, F, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    return x, torch.zeros(T, B, dtype=torch.bool)


def run(core, hand):
    """Return the core's output, and the one that `hand` makes of its sub-layers."""
    x, first = inputs()
    state = core.initial_state(B)
    y, _ = core(x, first, state)
    h = core.inputs(x)
    size = len(state) // len(core.memories)
    for i, memory in enumerate(core.memories):
        branch, _ = memory(h, first, state[i * size : (i + 1) * size])
        h = hand(i, h, branch)
    return y, h


@pytest.mark.parametrize("name", ["srwm", "fake_srwm", "delta"])
@pytest.mark.parametrize("residual", ["plain", "layernorm"])
def test_what_a_memory_is_added_to(name, residual):
    core = make(name, residual=residual)
    for layer in core.residuals:
        for parameter in layer.parameters():
            nn.init.normal_(parameter)

    def hand(i, h, branch):
        if residual == "layernorm":
            norm = core.residuals[i]
            spread = ((h - h.mean(-1, keepdim=True)) ** 2).mean(-1, keepdim=True)
            h = (h - h.mean(-1, keepdim=True)) / (spread + 1e-5).sqrt() * norm.weight + norm.bias
        h = h + branch
        norm, first, _, last, _ = core.feedforwards[i].block
        return h + last(torch.relu(first(norm(h))))

    torch.testing.assert_close(*run(core, hand), rtol=1e-12, atol=1e-12)


def test_the_plain_stack_has_no_parameter_more_and_draws_none():
    plain, normed = make("srwm"), make("srwm", residual="layernorm")
    more = set(normed.state_dict()) - set(plain.state_dict())
    assert more == {f"residuals.{i}.{part}" for i in (0, 1) for part in ("weight", "bias")}
    assert {"feedforwards.0.block.1.weight", "feedforwards.0.block.3.weight"} < set(
        plain.state_dict()
    ), "as checkpoints have them"
    state = torch.get_rng_state()
    plain(*inputs(), plain.initial_state(B))
    assert torch.equal(state, torch.get_rng_state())


@pytest.mark.parametrize("name", ["srwm", "delta"])
def test_dropout_falls_on_both_branches_in_training_only(name):
    core = make(name, dropout=0.5)
    zeros = []

    def watch(module, args, output):
        zeros.append((output == 0).double().mean().item() - (args[0] == 0).double().mean().item())

    drops = [module for module in core.modules() if isinstance(module, nn.Dropout)]
    # One for the memories, and two in each of the two feed-forward layers.
    assert len(drops) == 5
    for module in drops:
        module.register_forward_hook(watch)
    x, first = inputs()
    core(x, first, core.initial_state(B))
    assert len(zeros) == 6
    assert min(zeros) > 0.1
    zeros.clear()
    core.eval()
    y, _ = core(x, first, core.initial_state(B))
    assert zeros == [0] * 6
    same = make(name)
    torch.testing.assert_close(y, same(x, first, same.initial_state(B))[0], rtol=0, atol=0)
