"""One optimiser step from a batch, against the same step computed by hand."""

import math
import warnings
from copy import deepcopy

import numpy as np
import pytest
import torch
from torch import nn

from agents import AgentConfig, make_agent
from agents.agent import AgentOutput
from agents.config import LSTMConfig, SRWMConfig, StackConfig
from agents.cores import CORES
from learners import Learner, LearnerConfig, Rollout, TrainingDivergedError, checkpoint, load_agent
from learners.impala.vtrace import vtrace
from tests.learners.truth import impala_loss

T, N, A = 5, 3, 4
FRAMES = T * N
TOTAL = 20 * FRAMES


class Table(nn.Module):
    """An agent that says what its parameters say, whatever it sees."""

    def __init__(self, logits, values):
        super().__init__()
        self.logits = nn.Parameter(torch.tensor(logits, dtype=torch.float32))
        self.values = nn.Parameter(torch.tensor(values, dtype=torch.float32))
        self.seen = None

    def forward(self, obs, reward, first, state):
        self.seen = obs, reward, first, *state
        return AgentOutput(self.logits, self.values), state

    def introspect(self, obs, reward, first, state):
        return []

    def row_blocks(self):
        return []


def rollout(obs_shape=(7,), state=(), seed=0):
    """Return a batch in which every reward is another, and episodes open at 0, inside and at T.

    Of the three that end, the second terminates; the others are truncated.
    """
    generator = np.random.default_rng(seed)
    first = np.zeros((T + 1, N), np.bool_)
    for t, n in [(0, 0), (2, 1), (3, 1), (T, 2)]:
        first[t, n] = True
    if len(obs_shape) == 3:
        obs = generator.integers(256, size=(T + 1, N, *obs_shape), dtype=np.uint8)
    else:
        obs = generator.normal(size=(T + 1, N, *obs_shape)).astype(np.float32)
    final_value = np.zeros((T, N), np.float32)
    final_value[1, 1], final_value[T - 1, 2] = 1.7, -0.6
    return Rollout(
        obs=obs,
        reward=np.linspace(-1.5, 1.5, (T + 1) * N, dtype=np.float32).reshape(T + 1, N),
        first=first,
        action=generator.integers(A, size=(T, N)),
        logits=generator.normal(size=(T, N, A)).astype(np.float32),
        final_value=final_value,
        version=np.zeros(N, np.int64),
        state=state,
    )


def table(seed=1):
    generator = np.random.default_rng(seed)
    logits, values = generator.normal(size=(T + 1, N, A)), generator.normal(size=(T + 1, N))
    # As the network holds them, so that the truth starts from the same numbers.
    return logits.astype(np.float32).astype(float), values.astype(np.float32).astype(float)


def table_learner(seed=1, **section):
    logits, values = table(seed)
    return Learner(Table(logits, values), LearnerConfig(**section), TOTAL), logits, values


def network(core="lstm", encoder="mlp", seed=0):
    torch.manual_seed(seed)
    config = AgentConfig(
        encoder=encoder,
        core=core,
        precision="float32",
        lstm=LSTMConfig(hidden_size=8),
        srwm=SRWMConfig(hidden_size=8, heads=2, feedforward_factor=2),
        delta=StackConfig(hidden_size=8, heads=2, feedforward_factor=2),
    )
    return make_agent(config, (36, 36, 3) if encoder != "mlp" else (7,), A, T)


def batch_for(agent, seed=0):
    shape = (7,) if agent.encoder.__class__.__name__ == "MLPEncoder" else (36, 36, 3)
    state = tuple(tensor.numpy() + 0.1 for tensor in agent.initial_state(N))
    return rollout(shape, state, seed)


def assert_same(tree, other):
    if isinstance(tree, dict):
        assert tree.keys() == other.keys()
        for key in tree:
            assert_same(tree[key], other[key])
        return
    if isinstance(tree, str):
        assert tree == other
        return
    torch.testing.assert_close(tree, other, rtol=0, atol=0, equal_nan=True)


SECTIONS = {
    "the paper's": {},
    "clips inside the data": {"clip_rho": 1.3, "clip_c": 0.7, "reward_clip": 0.55},
    "other weights": {"discount": 0.8, "entropy_cost": 0.3, "value_cost": 2.0, "reward_clip": 9.0},
    "means": {"reduction": "mean", "entropy_cost": 0.2},
    "advantages of one size": {"normalise_advantages": True, "clip_rho": 1.3},
    "scaled rewards, some of them clipped": {"reward_scale": 0.8, "reward_clip": 0.9},
    "a lambda": {"vtrace_lambda": 0.6, "clip_c": 1.4},
    "time limits that end": {"bootstrap_time_limits": False},
    "all of it": {
        "reduction": "mean",
        "normalise_advantages": True,
        "reward_scale": 3.0,
        "reward_clip": 2.5,
        "vtrace_lambda": 0.9,
    },
}


@pytest.mark.parametrize("section", SECTIONS.values(), ids=SECTIONS)
def test_the_loss_pairs_each_action_with_the_reward_that_came_after_it(section):
    """Every reward is unique, so a shift by one step shows; likewise for the episodes' ends."""
    learner, logits, values = table_learner(**section, max_grad_norm=1e9)
    batch = rollout()
    metrics = learner.update(batch)
    truth = impala_loss(batch, logits, values, learner.config)
    # Losses are reported per step.
    steps = FRAMES if learner.config.reduction == "sum" else 1
    assert metrics["loss/policy"] * steps == pytest.approx(truth.policy, rel=1e-5)
    assert metrics["loss/value"] * steps == pytest.approx(truth.value, rel=1e-5)
    assert metrics["loss/entropy"] * steps == pytest.approx(
        -learner.config.entropy_cost * truth.entropy, rel=1e-5
    )
    assert metrics["loss/total"] * steps == pytest.approx(truth.total(learner.config), rel=1e-5)
    assert metrics["policy/entropy"] == pytest.approx(truth.entropy / steps, rel=1e-5)
    assert metrics["policy/value"] == pytest.approx(values[:-1].mean(), rel=1e-5)


@pytest.mark.parametrize("section", SECTIONS.values(), ids=SECTIONS)
def test_the_gradient_is_the_one_derived_by_hand(section):
    """None through targets and advantages, and none into the last observation's outputs."""
    learner, logits, values = table_learner(**section, max_grad_norm=1e9)
    batch = rollout()
    learner.update(batch)
    truth = impala_loss(batch, logits, values, learner.config)
    ours = [parameter.grad.numpy() for parameter in learner.agent.parameters()]
    np.testing.assert_allclose(ours[0], truth.logits_gradient, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(ours[1], truth.values_gradient, rtol=1e-4, atol=1e-6)
    assert not ours[0][T].any() and not ours[1][T].any()


def test_the_agent_sees_the_whole_batch():
    """All T+1 observations, and the state that the worker carried."""
    learner, _, _ = table_learner()
    state = (np.ones((N, 2), np.float32), np.full((N, 3), 2, np.float32))
    batch = rollout(state=state)
    learner.update(batch)
    fields = (batch.obs, batch.reward, batch.first, *state)
    for seen, sent in zip(learner.agent.seen, fields, strict=True):
        assert np.array_equal(seen.numpy(), sent)


@pytest.mark.parametrize("max_grad_norm", [1e9, 0.05], ids=["free", "clipped"])
def test_two_steps_of_rmsprop_by_hand(max_grad_norm):
    """Gradient clipping, the running square, and the learning rate's decay."""
    alpha, eps, lr = 0.9, 0.02, 0.05
    learner, *weights = table_learner(
        learning_rate=lr, rmsprop_alpha=alpha, rmsprop_eps=eps, max_grad_norm=max_grad_norm
    )
    squares = [np.zeros_like(weight) for weight in weights]
    for step in range(2):
        batch = rollout(seed=step)
        truth = impala_loss(batch, *weights, learner.config)
        gradients = [truth.logits_gradient, truth.values_gradient]
        norm = math.sqrt(sum((gradient**2).sum() for gradient in gradients))
        assert learner.update(batch)["learner/grad_norm"] == pytest.approx(norm, rel=1e-4)
        scale = min(1.0, max_grad_norm / norm)
        now = lr * (1 - step * FRAMES / TOTAL)
        for weight, square, gradient in zip(weights, squares, gradients, strict=True):
            square[:] = alpha * square + (1 - alpha) * (scale * gradient) ** 2
            weight -= now * scale * gradient / (np.sqrt(square) + eps)
        for parameter, weight in zip(learner.agent.parameters(), weights, strict=True):
            np.testing.assert_allclose(parameter.detach().numpy(), weight, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("max_grad_norm", [1e9, 0.05], ids=["free", "clipped"])
def test_three_steps_of_adam_by_hand(max_grad_norm):
    """Kingma and Ba 2015, algorithm 1, on clipped gradients and with a rate that falls."""
    beta1, beta2, eps, lr = 0.8, 0.95, 0.02, 0.05
    learner, *weights = table_learner(
        optimiser="adam",
        learning_rate=lr,
        adam_beta1=beta1,
        adam_beta2=beta2,
        adam_eps=eps,
        max_grad_norm=max_grad_norm,
    )
    means = [np.zeros_like(weight) for weight in weights]
    squares = [np.zeros_like(weight) for weight in weights]
    for step in range(3):
        batch = rollout(seed=step)
        truth = impala_loss(batch, *weights, learner.config)
        gradients = [truth.logits_gradient, truth.values_gradient]
        norm = math.sqrt(sum((gradient**2).sum() for gradient in gradients))
        assert learner.update(batch)["learner/grad_norm"] == pytest.approx(norm, rel=1e-4)
        scale = min(1.0, max_grad_norm / norm)
        now = lr * (1 - step * FRAMES / TOTAL)
        for weight, mean, square, gradient in zip(weights, means, squares, gradients, strict=True):
            mean[:] = beta1 * mean + (1 - beta1) * scale * gradient
            square[:] = beta2 * square + (1 - beta2) * (scale * gradient) ** 2
            corrected = mean / (1 - beta1 ** (step + 1))
            deviation = np.sqrt(square / (1 - beta2 ** (step + 1)))
            weight -= now * corrected / (deviation + eps)
        for parameter, weight in zip(learner.agent.parameters(), weights, strict=True):
            np.testing.assert_allclose(parameter.detach().numpy(), weight, rtol=1e-4, atol=1e-5)


def paper_step(agent, optimiser, batch, rate):
    """Take the paper's step as it was written before there were options: nothing scaled."""
    fields = (batch.obs, batch.reward, batch.first, batch.action, batch.logits)
    obs, reward, first, action, behaviour = (torch.from_numpy(x) for x in fields)
    output, _ = agent(obs, reward, first, tuple(torch.from_numpy(s) for s in batch.state))
    log_probs = output.logits[:-1].log_softmax(-1)
    chosen = action.unsqueeze(-1)
    log_rhos = (log_probs.detach() - behaviour.log_softmax(-1)).gather(-1, chosen).squeeze(-1)
    values = output.value[:-1]
    discounts = 0.99 * (~first[1:]).float()
    rewards = reward[1:].clamp(-1, 1)
    bootstrap = output.value[-1].detach()
    targets = vtrace(log_rhos, discounts, rewards, values.detach(), bootstrap)
    policy = -(targets.advantages * log_probs.gather(-1, chosen).squeeze(-1)).sum()
    value = 0.5 * (targets.vs - values).square().sum()
    entropy = -(log_probs.exp() * log_probs).sum()
    optimiser.zero_grad()
    (policy + 0.5 * value - 0.01 * entropy).backward()
    torch.nn.utils.clip_grad_norm_(agent.parameters(), 40.0)
    for group in optimiser.param_groups:
        group["lr"] = rate
    optimiser.step()


@pytest.mark.parametrize("core", CORES)
def test_with_the_papers_settings_an_update_is_the_papers_to_the_bit(core):
    ours, plain = network(core), network(core)
    learner = Learner(ours, LearnerConfig(bootstrap_time_limits=False), TOTAL)
    optimiser = torch.optim.RMSprop(plain.parameters(), lr=1.0, alpha=0.99, eps=0.01)
    for update in range(3):
        batch = batch_for(ours, seed=update)
        learner.update(batch)
        paper_step(plain, optimiser, batch, 6e-4 * max(0.0, 1 - update * FRAMES / TOTAL))
        assert_same(dict(ours.state_dict()), dict(plain.state_dict()))


def test_the_learning_rate_falls_linearly_to_zero_and_stays_there():
    learner, _, _ = table_learner(learning_rate=0.1)
    for update in range(TOTAL // FRAMES):
        assert learner.frames == update * FRAMES
        rate = learner.update(rollout())["learner/learning_rate"]
        assert rate == pytest.approx(0.1 * (1 - update * FRAMES / TOTAL))
    before = deepcopy(dict(learner.agent.named_parameters()))
    for _ in range(2):
        assert learner.update(rollout())["learner/learning_rate"] == 0
    assert_same(dict(learner.agent.named_parameters()), before)


def poison(batch, field):
    arrays = {name: array.copy() for name, array in batch._asdict().items() if name != "state"}
    if field == "state":
        state = tuple(tensor.copy() for tensor in batch.state)
        state[0][1] = math.nan  # an environment whose episode goes on
        return batch._replace(state=state)
    arrays[field][2, 0] = math.nan
    return batch._replace(**arrays)


@pytest.mark.parametrize("field", ["obs", "reward", "logits", "final_value", "state"])
def test_a_batch_that_is_not_finite_changes_nothing(field):
    agent = network("srwm")
    learner = Learner(agent, LearnerConfig(), TOTAL)
    learner.update(batch_for(agent))
    before = deepcopy(learner.state())
    metrics = learner.update(poison(batch_for(agent), field))
    after = learner.state()
    assert_same(after["agent"], before["agent"])
    assert_same(after["optimiser"], before["optimiser"])
    assert metrics["learner/skipped"] == after["skipped"] == 1
    assert after["version"] == before["version"] == 1
    assert after["frames"] == 2 * FRAMES  # it was seen, and the learning rate goes on
    # The next good batch is learnt as if the bad one had not been.
    other = Learner(network("srwm", seed=1), LearnerConfig(), TOTAL)
    other.load(before | {"frames": 2 * FRAMES})
    for each in (learner, other):
        each.update(batch_for(agent, seed=2))
    assert learner.version == 2
    assert_same(learner.state()["agent"], other.state()["agent"])


def test_a_gradient_that_is_not_finite_changes_nothing_though_the_loss_is():
    learner, _, _ = table_learner()
    learner.agent.values.register_hook(lambda gradient: gradient * math.inf)
    before = deepcopy(learner.state())
    metrics = learner.update(rollout())
    assert math.isfinite(metrics["loss/total"])
    assert metrics["learner/skipped"] == 1
    assert_same(learner.state()["agent"], before["agent"])
    assert_same(learner.state()["optimiser"], before["optimiser"])


def test_too_many_bad_batches_in_a_row_stop_the_training():
    learner, _, _ = table_learner(max_skipped=3)
    good, bad = rollout(), poison(rollout(), "reward")
    for batch in (bad, bad, good, bad, bad):  # a good one between: not in a row
        learner.update(batch)
    assert learner.skipped == 4
    weights = learner.weights()
    with pytest.raises(
        TrainingDivergedError, match=r"^the last 3 batches .*learning_rate"
    ) as raised:
        learner.update(bad)
    assert "\n" not in str(raised.value)
    assert learner.skipped == 5
    for name, parameter in learner.agent.named_parameters():
        assert np.array_equal(parameter.detach().numpy(), weights.state_dict[name])


def test_the_first_update_that_ends_the_training_is_kept():
    """Also from a batch that was in flight, and is learnt from meanwhile."""
    learner, _, _ = table_learner(max_skipped=2)
    learner.update(rollout())
    bad = poison(rollout(), "reward")
    learner.update(bad)
    assert learner.nonfinite() is None
    before = deepcopy(learner.state())
    last = poison(rollout(), "reward")
    with pytest.raises(TrainingDivergedError):
        learner.update(last)
    for batch in (rollout(), bad):
        learner.update(batch)
    with pytest.raises(TrainingDivergedError):
        learner.update(bad)
    state, fields = learner.nonfinite()
    assert state["version"] == before["version"] < learner.version
    assert_same(state["agent"], before["agent"])
    assert_same(state["optimiser"], before["optimiser"])
    assert_same({"rng": state["torch_rng"]}, {"rng": before["torch_rng"]})
    assert fields["reward"] is last.reward


def test_lag_is_the_learners_version_less_the_batchs():
    learner, _, _ = table_learner()
    for _ in range(4):
        learner.update(rollout())
    batch = rollout()._replace(version=np.array([1, 2, 3]))
    assert learner.version == 4
    assert learner.update(batch)["policy/lag"] == 4 - 2
    assert learner.version == 5


@pytest.mark.parametrize("clip_rho", [1.0, 1.5])
def test_clipped_rhos_is_the_share_of_ratios_over_the_clip(clip_rho):
    learner, logits, _ = table_learner(clip_rho=clip_rho)
    batch = rollout()
    ratios = []
    for t in range(T):
        for n in range(N):
            action = batch.action[t, n]
            pi, mu = np.exp(logits[t, n]), np.exp(batch.logits[t, n])
            ratios.append(pi[action] / pi.sum() / (mu[action] / mu.sum()))
    expected = np.mean(np.array(ratios) > clip_rho)
    assert 0 < expected < 1
    assert learner.update(batch)["policy/clipped_rhos"] == pytest.approx(expected)


@pytest.mark.parametrize("core", CORES)
def test_on_policy_no_ratio_is_off(core):
    """Logits that acting produced step by step: the learner finds every ratio to be 1."""
    agent = network(core)
    batch = batch_for(agent)
    state = tuple(torch.from_numpy(tensor) for tensor in batch.state)
    with torch.no_grad():
        for t in range(T):
            fields = (batch.obs, batch.reward, batch.first)
            step = (torch.from_numpy(field[t : t + 1]) for field in fields)
            output, state = agent(*step, state)
            batch.logits[t] = output.logits[0].numpy()
    learner = Learner(agent, LearnerConfig(), TOTAL)
    assert learner.update(batch)["policy/clipped_rhos"] == 0  # nor is one by its rounding
    lower = Learner(agent, LearnerConfig(clip_rho=0.999, clip_c=1.0), TOTAL)
    agent.load_state_dict(network(core).state_dict())
    assert lower.update(batch)["policy/clipped_rhos"] == 1


def test_weights_are_a_copy():
    agent = network()
    learner = Learner(agent, LearnerConfig(), TOTAL)
    weights = learner.weights()
    kept = {name: array.copy() for name, array in weights.state_dict.items()}
    assert weights.version == 0
    learner.update(batch_for(agent))
    for name in kept:
        assert weights.state_dict[name].dtype == np.float32
        assert np.array_equal(weights.state_dict[name], kept[name])
    assert learner.weights().version == 1
    assert any(not np.array_equal(learner.weights().state_dict[name], kept[name]) for name in kept)
    # And the other way round: who writes to them does not reach the learner.
    before = deepcopy(agent.state_dict())
    for array in learner.weights().state_dict.values():
        array[...] = 0
    assert_same(dict(agent.state_dict()), dict(before))


def test_a_batch_may_be_read_only_and_is_not_changed():
    """As it comes out of a shared object store."""
    agent = network("srwm")
    batch = batch_for(agent)
    arrays = batch.arrays()
    copies = [array.copy() for array in arrays]
    for array in arrays:
        array.flags.writeable = False
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Learner(agent, LearnerConfig(), TOTAL).update(batch)
    for array, copy in zip(arrays, copies, strict=True):
        assert np.array_equal(array, copy)


@pytest.mark.parametrize(
    ("core", "encoder", "options"),
    [
        *((core, "mlp", {"rmsprop_momentum": 0.5}) for core in CORES),
        ("srwm", "impala", {}),
        ("srwm", "mlp", {"optimiser": "adam", "schedule": "cosine", **SECTIONS["all of it"]}),
        ("lstm", "mlp", {"optimiser": "adam", "schedule": "constant"}),
    ],
)
def test_a_resumed_learner_equals_an_uninterrupted_one(core, encoder, options, tmp_path):
    """To the bit, through a checkpoint on the disk, into a learner of other weights."""
    agent = network(core, encoder)
    batches = [batch_for(agent, seed) for seed in range(4)]
    section = LearnerConfig(learning_rate=0.01, **options)
    learner = Learner(agent, section, TOTAL)
    for batch in (*batches[:2], poison(batches[0], "reward")):
        learner.update(batch)
    checkpoint.save(tmp_path / "1", learner.state())
    drawn = torch.rand(3)
    for batch in batches[2:]:
        learner.update(batch)

    resumed = Learner(network(core, encoder, seed=5), section, TOTAL)
    resumed.load(checkpoint.load(tmp_path / "1"))
    assert torch.equal(torch.rand(3), drawn)
    assert (resumed.frames, resumed.version, resumed.skipped) == (3 * FRAMES, 2, 1)
    for batch in batches[2:]:
        resumed.update(batch)
    whole, again = learner.state(), resumed.state()
    for state in (whole, again):
        del state["torch_rng"]  # drawn from in between
    assert_same(dict(again["agent"]), dict(whole["agent"]))
    assert_same(again, whole)


def test_a_learner_that_has_not_begun_can_be_resumed(tmp_path):
    checkpoint.save(tmp_path / "1", Learner(network(), LearnerConfig(), TOTAL).state())
    fresh, resumed = (Learner(network(seed=seed), LearnerConfig(), TOTAL) for seed in (0, 5))
    resumed.load(checkpoint.load(tmp_path / "1"))
    for learner in (fresh, resumed):
        learner.update(batch_for(learner.agent))
    assert_same(dict(resumed.agent.state_dict()), dict(fresh.agent.state_dict()))


@pytest.mark.parametrize("saved", [False, True], ids=["arrays", "tensors of a checkpoint"])
def test_a_state_that_was_loaded_stays_as_it_is(saved, tmp_path):
    learner, other = (Learner(network(seed=seed), LearnerConfig(), TOTAL) for seed in (0, 5))
    batch = batch_for(learner.agent)
    learner.update(batch)
    state = learner.state()
    for array in state["agent"].values():
        array.setflags(write=False)  # as what Ray hands out
    if saved:
        checkpoint.save(tmp_path / "1", state)
        state = checkpoint.load(tmp_path / "1")
    before = deepcopy(state)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for each in (other, learner):
            each.load(state)
            each.update(batch)
    assert_same(dict(state.pop("agent")), dict(before.pop("agent")))
    assert_same(state, before)


@pytest.mark.parametrize("other", ["feedforward", "srwm"])
def test_the_state_of_another_network_is_refused(other):
    learner = Learner(network("lstm"), LearnerConfig(), TOTAL)
    before = deepcopy(learner.state())
    with pytest.raises(ValueError, match=r"^the checkpoint holds another network: ") as raised:
        learner.load(Learner(network(other), LearnerConfig(), TOTAL).state())
    assert "\n" not in str(raised.value)
    assert_same(dict(learner.state()["agent"]), dict(before["agent"]))
    assert learner.frames == 0


def test_another_networks_weights_are_named():
    agent = network("lstm")
    parameters = deepcopy(dict(agent.state_dict()))
    with pytest.raises(ValueError, match=r"value\.weight is \[1, 9\] there and \[1, 8\] here"):
        load_agent(agent, parameters | {"value.weight": torch.zeros(1, 9)})
    with pytest.raises(ValueError, match=r"extra is \[2\] there and absent here"):
        load_agent(agent, parameters | {"extra": torch.zeros(2)})
    del parameters["policy.bias"]
    with pytest.raises(ValueError, match=r"policy\.bias is absent there and \[4\] here"):
        load_agent(agent, parameters)


@pytest.mark.parametrize("field", ["obs", "reward", "first", "action", "logits", "final_value"])
def test_a_batch_whose_fields_do_not_agree_is_refused_and_changes_nothing(field):
    agent = network("lstm")
    learner = Learner(agent, LearnerConfig(), TOTAL)
    before = learner.weights()
    batch = learner.stage([batch_for(agent)])
    wrong = batch._replace(**{field: getattr(batch, field)[:, :1]})
    with pytest.raises(ValueError, match=r"^Learner\.step: .* must (all )?be \[") as raised:
        learner.step(wrong)
    assert "\n" not in str(raised.value)
    assert (learner.frames, learner.version) == (0, 0)
    assert_same(learner.weights().state_dict, before.state_dict)
