"""The memory tasks: what is seen and earned at each step, the chance and the best."""

from __future__ import annotations

import gymnasium
import numpy as np
import pytest

from envs import EnvsConfig, make_env
from envs.memory import Recall, TMaze

# From a name to the number of cues and of actions in an episode.
REGISTERED = {
    "memory/Recall-8": (4, 10),
    "memory/Recall-30": (4, 32),
    "memory/Recall-100": (4, 102),
    "memory/TMaze-8": (2, 9),
    "memory/TMaze-30": (2, 31),
    "memory/TMaze-100": (2, 101),
}


def play(env, actions, seed=None):
    """Return the observations and rewards of an episode, which has to end with the last action."""
    shown, _ = env.reset(seed=seed)
    seen, rewards = [shown.tolist()], []
    for left, action in reversed([*enumerate(reversed(actions))]):
        shown, reward, terminated, truncated, _ = env.step(action)
        assert (terminated, truncated) == (left == 0, False)
        seen.append(shown.tolist())
        rewards.append(reward)
    return seen[:-1], rewards


def make(task):
    make_env(EnvsConfig(tasks=(task,)), 1, seed=0)  # a configuration knows the name
    return gymnasium.make(task).unwrapped


def returns(env, policy, length, episodes=500):
    """Return the returns of a policy that is given the first and the latest observation."""
    totals = []
    for episode in range(episodes):
        shown, _ = env.reset(seed=0 if episode == 0 else None)
        opening, total = shown, 0.0
        for _ in range(length):
            shown, reward, over, _, _ = env.step(policy(opening, shown))
            total += reward
        assert over
        totals.append(total)
    return totals


def test_observations_and_rewards_of_recall_by_hand():
    env = Recall(cues=3, gap=2)
    for seed in range(10):
        seen, rewards = play(env, [0, 1, 2, 1], seed)
        cue = [float(env.cue == i) for i in range(3)]
        assert seen == [[*cue, 1, 0], [0, 0, 0, 1, 0], [0, 0, 0, 1, 0], [0, 0, 0, 0, 1]]
        assert rewards == [0, 0, 0, 1 if env.cue == 1 else -1]


def test_observations_and_rewards_of_the_t_maze_by_hand():
    env = TMaze(length=3)
    for seed in range(10):
        seen, rewards = play(env, [1, 0, 1, 0], seed)
        left = float(env.cue == 0)
        assert seen == [[left, 1 - left, 1, 0], [0, 0, 1, 0], [0, 0, 1, 0], [0, 0, 0, 1]]
        assert rewards == [0, 0, 0, 1 if left else -1]


@pytest.mark.parametrize("env", [Recall(cues=2, gap=0), TMaze(length=1)])
def test_the_question_may_follow_the_cue_at_once(env):
    seen, _ = play(env, [0, 0], seed=0)
    assert seen[0][2:] == [1, 0]
    assert seen[1] == [0, 0, 0, 1]


@pytest.mark.parametrize("task", REGISTERED)
def test_the_best_is_1_and_needs_the_first_observation(task):
    cues, length = REGISTERED[task]
    env = make(task)
    assert env.observation_space.shape == (cues + 2,)
    assert env.action_space.n == cues
    remembering = returns(env, lambda opening, shown: int(opening[:cues].argmax()), length)
    assert set(remembering) == {1.0}
    mistaken = returns(
        env, lambda opening, shown: (int(opening[:cues].argmax()) + 1) % cues, length
    )
    assert set(mistaken) == {-1.0}


@pytest.mark.parametrize("task", REGISTERED)
def test_without_a_memory_the_mean_is_chance(task):
    """Cues are equally frequent, and one answer of C earns 1: 2 / C - 1 whatever is answered."""
    cues, length = REGISTERED[task]
    env = make(task)
    drawn = []
    for episode in range(400):
        env.reset(seed=0 if episode == 0 else None)
        drawn.append(env.cue)
    counts = np.bincount(drawn, minlength=cues)
    assert abs(counts - 400 / cues).max() < 4 * np.sqrt(400 / cues * (1 - 1 / cues))
    for _ in range(length - 1):
        env.step(0)
    question = env.get_state()
    earned = []
    for answer in range(cues):
        env.set_state(question)
        earned.append(env.step(answer)[1])
    assert sorted(earned) == [-1.0] * (cues - 1) + [1.0]
    assert np.mean(earned) == 2 / cues - 1
    blind = np.mean(returns(env, lambda opening, shown: 0, length))
    error = 2 * np.sqrt(1 / cues * (1 - 1 / cues) / 500)
    assert abs(blind - (2 / cues - 1)) < 4 * error


@pytest.mark.parametrize("task", REGISTERED)
def test_what_follows_the_cue_depends_neither_on_it_nor_on_what_was_done(task):
    cues, length = REGISTERED[task]
    env = make(task)
    rng = np.random.default_rng(0)
    openings, rests = set(), set()
    for _ in range(40):
        seen, rewards = play(env, rng.integers(cues, size=length).tolist())
        openings.add(tuple(seen[0]))
        rests.add(str(seen[1:]))
        assert not any(rewards[:-1])
    assert len(openings) == cues
    assert len(rests) == 1


@pytest.mark.parametrize("task", REGISTERED)
@pytest.mark.parametrize("before", [0, 3, 150])
def test_a_restored_state_goes_on_exactly(task, before):
    cues, _ = REGISTERED[task]
    env, other = make(task), make(task)
    rng = np.random.default_rng(0)

    def step(env, action):
        shown, *rest = env.step(action)
        return (env.reset()[0] if rest[1] else shown).tolist(), rest

    env.reset(seed=1)
    other.reset(seed=2)
    for action in rng.integers(cues, size=before):
        step(env, action)
    other.set_state(env.get_state())
    for action in rng.integers(cues, size=300):
        assert step(env, action) == step(other, action)
        assert env.get_state() == other.get_state()


@pytest.mark.parametrize("task", REGISTERED)
def test_the_cues_come_from_the_seed(task):
    _, length = REGISTERED[task]
    env = make(task)

    def cues(seed):
        openings = [
            play(env, [0] * length, seed if episode == 0 else None) for episode in range(20)
        ]
        return [seen[0] for seen, _ in openings]

    assert cues(3) == cues(3)
    assert cues(3) != cues(4)
