"""The policy: encoder, core and heads as one network, and how actions are drawn from it."""

import pytest
import torch

import agents.agent
from agents import Agent, AgentConfig, make_agent, sample
from agents.config import LSTMConfig, SRWMConfig, StackConfig
from agents.cores import CORES, Core

T, B, A = 6, 3, 5
UNROLL = 4  # of a learner; a memory that is not carried over begins anew inside T
SHAPES = {
    "impala": (36, 36, 3),
    "impala_small": (36, 36, 3),
    "impala_tiny": (36, 36, 3),
    "mlp": (7,),
}


def config(encoder="mlp", core="srwm", precision="float32", input="layernorm"):
    stack = {"hidden_size": 16, "heads": 4, "feedforward_factor": 2}
    return AgentConfig(
        encoder=encoder,
        core=core,
        precision=precision,
        lstm=LSTMConfig(hidden_size=16),
        srwm=SRWMConfig.model_validate({**stack, "input": input}),
        delta=StackConfig(**stack),
    )


def steps(encoder="mlp", seed=0):
    """Return obs, reward and first of T steps, with episodes that open at 0, 2, 3 and T-1."""
    generator = torch.Generator().manual_seed(seed)
    shape = SHAPES[encoder]
    if encoder == "mlp":
        obs = torch.randn(T, B, *shape, generator=generator)
    else:
        obs = torch.randint(256, (T, B, *shape), dtype=torch.uint8, generator=generator)
    reward = 3 * torch.randn(T, B, generator=generator)
    first = torch.zeros(T, B, dtype=torch.bool)
    for t, b in [(0, 0), (2, 1), (3, 1), (T - 1, 2)]:
        first[t, b] = True
    return obs, reward, first


# bfloat16 keeps 8 bits: two ways to add up an encoder's sums may differ in the last of them.
TOLERANCES = {
    "float32": {"rtol": 1e-5, "atol": 1e-6},
    "bfloat16": {"rtol": 2**-8, "atol": 2**-8},
}
# A matrix that rewrites itself with sharp keys hands its own rounding on from step to step.
SHARP_KEYS = {**TOLERANCES, "float32": {"rtol": 1e-4, "atol": 1e-5}}
SELF_MODIFYING = ("srwm", "srwm_no_carry", "sr_delta")


WRONG = {
    "a reward an environment": ("reward", torch.zeros(1, B), "reward"),
    "whole rewards": ("reward", torch.zeros(T, B, dtype=torch.int64), "reward is int64"),
    "a flag an unroll": ("first", torch.zeros(1, B, dtype=torch.bool), "reward"),
    "numbers for flags": ("first", torch.zeros(T, B), "first is float32"),
    "one step without time": ("obs", torch.zeros(B, 7), "obs"),
    "a state of other environments": ("state", (torch.zeros(B + 1, 16),) * 2, r"state\[0\]"),
}


@pytest.mark.parametrize(("field", "value", "named"), WRONG.values(), ids=WRONG)
@pytest.mark.parametrize("function", ["forward", "introspect"])
def test_inputs_that_do_not_agree_are_refused_by_name(function, field, value, named):
    agent = make_agent(config(core="lstm"), SHAPES["mlp"], A, UNROLL)
    obs, reward, first = steps()
    inputs = {"obs": obs, "reward": reward, "first": first, "state": agent.initial_state(B)}
    with pytest.raises(ValueError, match=rf"^Agent\.{function}: {named}.* must be ") as raised:
        getattr(agent, function)(**{**inputs, field: value})
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("precision", TOLERANCES)
@pytest.mark.parametrize("encoder", SHAPES)
@pytest.mark.parametrize(
    ("core", "input"),
    [*((core, "softmax") for core in CORES), *((core, "layernorm") for core in SELF_MODIFYING)],
)
@torch.no_grad()
def test_acting_says_what_learning_says(core, input, encoder, precision):
    """At equal weights the importance ratio is 1: single steps equal the unroll."""
    torch.manual_seed(0)
    agent = make_agent(config(encoder, core, precision, input), SHAPES[encoder], A, UNROLL)
    tolerances = (TOLERANCES if input == "softmax" else SHARP_KEYS)[precision]
    _, state = agent(*steps(encoder, seed=1), agent.initial_state(B))
    obs, reward, first = steps(encoder)
    unrolled, last = agent(obs, reward, first, state)
    assert unrolled.logits.shape == (T, B, A)
    assert unrolled.value.shape == (T, B)
    assert unrolled.logits.dtype == unrolled.value.dtype == torch.float32
    for t in range(T):
        now = slice(t, t + 1)
        output, state = agent(obs[now], reward[now], first[now], state)
        torch.testing.assert_close(output.logits[0], unrolled.logits[t], **tolerances)
        torch.testing.assert_close(output.value[0], unrolled.value[t], **tolerances)
    torch.testing.assert_close(state, last, **tolerances)


@pytest.mark.parametrize("encoder", SHAPES)
def test_bfloat16_is_the_encoders_alone(encoder):
    """Close to float32 but not equal; the core and the heads stay float32."""
    outputs = {}
    for precision in ("float32", "bfloat16"):
        torch.manual_seed(0)
        agent = make_agent(config(encoder, "lstm", precision), SHAPES[encoder], A, UNROLL)
        assert all(parameter.dtype == torch.float32 for parameter in agent.parameters())
        seen = []
        agent.core.register_forward_hook(lambda _, args, out, seen=seen: seen.append((args, out)))
        outputs[precision], _ = agent(*steps(encoder), agent.initial_state(B))
        ((x, *_), (y, _)) = seen[0]
        assert x.dtype == y.dtype == torch.float32
    exact, coarse = outputs["float32"], outputs["bfloat16"]
    assert not torch.equal(exact.logits, coarse.logits)
    torch.testing.assert_close(coarse, exact, rtol=0.02, atol=0.02)


@pytest.mark.parametrize(
    ("instructions", "amx", "amd", "wanted"),
    [
        (True, False, True, torch.bfloat16),
        (True, True, False, torch.bfloat16),
        (True, False, False, torch.float32),
        (False, False, True, torch.float32),
    ],
)
def test_auto_is_the_precision_that_is_faster_here(instructions, amx, amd, wanted, monkeypatch):
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: instructions)
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: amx)
    vendor = "AuthenticAMD" if amd else "GenuineIntel"
    monkeypatch.setattr("agents.precision.cpu_fields", lambda field: [vendor])
    assert make_agent(AgentConfig(encoder="mlp"), (3,), 2, UNROLL).dtype == wanted


class Recorder(Core):
    """Hands on the features, and keeps them."""

    def __init__(self, size):
        super().__init__()
        self.output_size = size
        self.seen = []

    def initial_state(self, batch):
        return ()

    def forward(self, x, first, state):
        self.seen.append(x)
        return x, state


def test_the_last_reward_is_clipped_and_forgotten_at_a_first_step():
    encoder = torch.nn.Flatten()
    agent = Agent(encoder, Recorder(2 + 1), num_actions=A)
    obs = torch.arange(8.0).reshape(4, 1, 2)
    reward = torch.tensor([[0.25], [7.0], [-3.0], [5.0]])
    first = torch.tensor([[False], [False], [False], [True]])
    agent(obs, reward, first, ())
    (x,) = agent.core.seen
    assert torch.equal(x[..., :2], obs)
    assert x[..., 2].tolist() == [[0.25], [1.0], [-1.0], [0.0]]


def test_the_heads_are_linear_in_the_cores_output():
    torch.manual_seed(0)
    agent = Agent(torch.nn.Flatten(), Recorder(3), num_actions=A)
    obs, reward = torch.randn(4, 2, 2), torch.randn(4, 2)
    first = torch.zeros(4, 2, dtype=torch.bool)
    output, _ = agent(obs, reward, first, ())
    x = torch.cat([obs, reward.clip(-1, 1)[..., None]], -1).double()
    logits = x @ agent.policy.weight.double().T + agent.policy.bias.double()
    value = x @ agent.value.weight[0].double() + agent.value.bias.double()
    torch.testing.assert_close(output.logits.double(), logits, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(output.value.double(), value, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("chunk", [1, 7, T * B, 1000])
@pytest.mark.parametrize("encoder", ["impala_small", "mlp"])
def test_encoding_in_pieces_changes_no_value(encoder, chunk, monkeypatch):
    """Also when the last piece is a smaller one: 18 frames in pieces of 7."""
    torch.manual_seed(0)
    agent = make_agent(config(encoder), SHAPES[encoder], A, UNROLL)
    obs, reward, first = steps(encoder)
    whole = agent.encoder(obs.flatten(0, 1))
    pieces = []
    agent.encoder.register_forward_hook(lambda _, args, __: pieces.append(len(args[0])))
    monkeypatch.setattr(agents.agent, "CPU_CHUNK", chunk)
    recorder = agent.core = Recorder(agent.core.output_size)
    agent.policy = torch.nn.LazyLinear(A)
    agent.value = torch.nn.LazyLinear(1)
    agent(obs, reward, first, ())
    features = recorder.seen[0][..., :-1]
    assert sum(pieces) == T * B
    assert max(pieces) == min(chunk, T * B)
    torch.testing.assert_close(features.flatten(0, 1), whole, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("core", CORES)
def test_every_parameter_learns(core):
    torch.manual_seed(0)
    agent = make_agent(config("mlp", core), SHAPES["mlp"], A, UNROLL)
    output, _ = agent(*steps(), agent.initial_state(B))
    (output.logits.square().sum() + output.value.square().sum()).backward()
    for name, parameter in agent.named_parameters():
        assert parameter.grad is not None and parameter.grad.abs().sum() > 0, name


@pytest.mark.parametrize("shape", [(7,), (4, 7)])
def test_an_agent_of_images_is_refused_for_other_observations(shape):
    with pytest.raises(ValueError, match=r"agent\.encoder: 'impala'"):
        make_agent(config("impala"), shape, A, UNROLL)


def test_sample_draws_each_action_as_often_as_the_policy_says():
    probabilities = torch.tensor([0.5, 0.3, 0.15, 0.05])
    draws = 20_000
    # Unnormalised, and far from zero: a policy is what softmax makes of it.
    logits = (probabilities.log() + 100).expand(draws // 10, 10, 4)
    actions = sample(logits, torch.Generator().manual_seed(0))
    assert actions.shape == (draws // 10, 10)
    assert actions.dtype == torch.int64
    counts = actions.flatten().bincount(minlength=4)
    expected = draws * probabilities
    chi_square = float(((counts - expected) ** 2 / expected).sum())
    assert chi_square < 16.3  # 3 degrees of freedom, 0.1 %


def test_sample_reads_the_logits_of_each_environment():
    wanted = torch.randint(A, (4, 3), generator=torch.Generator().manual_seed(0))
    logits = 1000 * torch.nn.functional.one_hot(wanted, A).float()
    assert torch.equal(sample(logits, torch.Generator().manual_seed(0)), wanted)


def test_sample_depends_on_its_generator_alone():
    logits = torch.zeros(50, A)
    torch.manual_seed(1)
    one = sample(logits, torch.Generator().manual_seed(3))
    torch.manual_seed(2)
    assert torch.equal(sample(logits, torch.Generator().manual_seed(3)), one)
    assert not torch.equal(sample(logits, torch.Generator().manual_seed(4)), one)
    generator = torch.Generator().manual_seed(3)
    assert not torch.equal(sample(logits, generator), sample(logits, generator))


@torch.no_grad()
def test_introspection_forgets_the_reward_of_the_episode_before():
    torch.manual_seed(0)
    agent = make_agent(config(), SHAPES["mlp"], A, UNROLL)
    obs, reward, first = steps()
    reward = reward.clamp(-0.5, 0.5)  # inside what is not clipped

    def told(reward):
        (layer, _) = agent.introspect(obs, reward, first, agent.initial_state(B))
        return layer.change

    before = told(reward)
    assert torch.equal(told(torch.where(first, reward + 0.3, reward)), before)
    assert not torch.equal(told(reward + 0.3), before)


@pytest.mark.parametrize("scale", [1.0, 0.25])
def test_the_policy_head_begins_at_its_scale(scale):
    """And nothing else does: all other weights are drawn as without it."""
    agents = []
    for policy_scale in (1.0, scale):
        torch.manual_seed(0)
        section = config().model_copy(update={"policy_scale": policy_scale})
        agents.append(dict(make_agent(section, SHAPES["mlp"], A, UNROLL).named_parameters()))
    plain, scaled = agents
    for name in plain:
        factor = scale if name.startswith("policy.") else 1
        assert torch.equal(scaled[name], plain[name] * factor)
