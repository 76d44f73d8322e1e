"""The learner's actor without Ray: what it does at once, and what in turn."""

import asyncio
import threading

import numpy as np
import pytest
import torch

from launch.cluster.actors import LearnerActor
from launch.config.source import parse_config
from launch.flow.build import build_worker
from learners import Learner
from tests.launch.runs import TMAZE

CONFIG = parse_config(TMAZE, ["launch.envs_per_worker=4", "launch.learner_threads=3"], "test")
UPDATES = 4


@pytest.fixture
def actor():
    threads = torch.get_num_threads()
    yield LearnerActor(CONFIG.model_dump(mode="json"), rank=0)
    torch.set_num_threads(threads)


@pytest.fixture
def rollouts():
    worker = build_worker(CONFIG, index=0)
    actor = LearnerActor(CONFIG.model_dump(mode="json"), rank=0)

    async def weights():
        await actor.start(None, None)
        return await actor.weights()

    first = asyncio.run(weights())
    return [worker.rollout(first)[0] for _ in range(UPDATES)]


async def updates(actor, rollouts, order):
    """Ask for all updates at once, in some order; return what came, by number."""
    await actor.start(None, None)
    asked = {}
    for number in order:
        call = actor.update(number, [(0, 4)], number % 2 == 1, False, rollouts[number])
        asked[number] = asyncio.create_task(call)
        await asyncio.sleep(0.05)  # it is staged before the next one is asked for
    return [await asked[number] for number in range(len(rollouts))]


def test_updates_are_made_in_their_order_whatever_order_they_come_in(rollouts):
    results = []
    for order in ([0, 1, 2, 3], [1, 0, 3, 2], [3, 2, 1, 0]):
        actor = LearnerActor(CONFIG.model_dump(mode="json"), rank=0)
        results.append(asyncio.run(updates(actor, rollouts, order)))
    for result in results:
        assert [report.version for report, _, _ in result] == [1, 2, 3, 4]
        assert [report.frames for report, _, _ in result] == [20, 40, 60, 80]
        assert [weights and weights.version for _, weights, _ in result] == [None, 2, None, 4]
        for (report, weights, _), (wanted, wanted_weights, _) in zip(
            result, results[0], strict=True
        ):
            assert report.metrics["loss/total"] == wanted.metrics["loss/total"]
            for name in weights.state_dict if weights else ():
                assert (weights.state_dict[name] == wanted_weights.state_dict[name]).all()


def test_the_next_batch_is_staged_while_one_is_learnt_from(actor, rollouts, monkeypatch):
    learns, staged = threading.Event(), threading.Event()
    good = Learner.step

    def step(self, batch):
        learns.set()
        assert staged.wait(20), "nothing is staged meanwhile"
        return good(self, batch)

    async def run():
        await actor.start(None, None)
        stage = actor.learner.stage

        def watched(pieces):
            if learns.is_set():
                staged.set()
            return stage(pieces)

        actor.learner.stage = watched
        first = asyncio.create_task(actor.update(0, [(0, 4)], False, False, rollouts[0]))
        while not learns.is_set():
            await asyncio.sleep(0.01)
        await actor.update(1, [(0, 4)], False, False, rollouts[1])
        return await first

    monkeypatch.setattr(Learner, "step", step)
    report, _, _ = asyncio.run(run())
    assert report.version == 1


def test_a_state_is_a_copy_between_two_updates(actor, rollouts):
    async def run():
        await actor.start(None, None)
        await actor.update(0, [(0, 4)], False, False, rollouts[0])
        tasks = [actor.state(), actor.update(1, [(0, 4)], False, False, rollouts[1])]
        state, _ = await asyncio.gather(*map(asyncio.create_task, tasks))
        other = LearnerActor(CONFIG.model_dump(mode="json"), rank=0)
        await other.start(None, state)  # and goes on from there as the first one did
        await other.update(0, [(0, 4)], False, False, rollouts[1])
        return state, (await actor.state()), (await other.state())

    state, after, again = asyncio.run(run())
    assert (state["version"], state["frames"]) == (1, 20)
    assert after["version"] == again["version"] == 2
    for name, array in after["agent"].items():
        assert np.array_equal(array, again["agent"][name])
        assert not np.array_equal(array, state["agent"][name]) or not array.any()


def test_the_thread_that_learns_has_the_threads_that_are_its_due(actor):
    async def run():
        return await actor._learn(torch.get_num_threads)

    assert asyncio.run(run()) == 3
