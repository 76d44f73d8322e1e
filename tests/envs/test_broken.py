"""Environments that break their contract: one line that names task and fault, or they work."""

import logging
import os
import pickle
import time
from contextlib import closing

import numpy as np
import pytest

from envs.faults import EnvFault
from envs.gym_env import GymVectorEnv
from envs.watchdog import Watchdog
from tests.envs.broken import BROKEN, ODD_BUT_FINE


def play(name, steps=20):
    """Step two instances, and return what they showed."""
    seen = []
    with closing(GymVectorEnv([f"tests.envs.broken:{name}-v0"] * 2, seeds=[1, 2])) as env:
        for _ in range(steps):
            env.act(np.zeros(2, np.int64))
            seen.append(env.observe().copy())
    return seen


def test_there_are_at_least_forty():
    assert len(BROKEN) + len(ODD_BUT_FINE) >= 60


@pytest.mark.parametrize(("name", "message"), BROKEN.items())
def test_a_fault_names_the_task_and_what_is_wrong(name, message):
    with pytest.raises((EnvFault, ValueError)) as raised:
        play(name)
    text = str(raised.value)
    assert f"task 'tests.envs.broken:{name}-v0'" in text
    assert message in text
    assert "\n" not in text


@pytest.mark.parametrize("name", ODD_BUT_FINE)
def test_what_is_odd_but_fine_works(name):
    here = os.getcwd()
    seen = play(name)
    assert os.getcwd() == here
    assert sum(int(now.first.sum()) for now in seen) == 2 * (20 // 7)
    assert all(np.isfinite(now.obs).all() and np.isfinite(now.reward).all() for now in seen)


def test_a_fault_tells_how_far_the_episode_was():
    with pytest.raises(EnvFault) as raised:
        play("NaNReward")
    assert (raised.value.call, raised.value.steps) == ("step()", 2)


def test_a_fault_travels_between_processes():
    fault = EnvFault("maze", "step()", "raised OSError: gone", 3)
    copy = pickle.loads(pickle.dumps(fault))
    assert str(copy) == str(fault) and copy.steps == 3


def test_a_close_that_fails_is_only_logged(caplog):
    play("RaisesInClose")
    assert "close() raised OSError: gone" in caplog.text


def test_a_directory_is_changed_back_with_a_warning(caplog):
    play("ChangesDirectory")
    assert "changed the working directory" in caplog.text


def test_a_call_that_does_not_return_is_named_again_and_again(caplog):
    watchdog = Watchdog(patience=0.05)
    with caplog.at_level(logging.WARNING), watchdog.watch("task 'slow': step()"):
        time.sleep(0.5)
    lines = [line for line in caplog.messages if "task 'slow': step() has not returned" in line]
    assert 2 <= len(lines) <= 5  # at 0.05, 0.1, 0.2 and 0.4 s
    with watchdog.watch("quick"):
        pass
    assert "quick" not in caplog.text
