"""Actors that only note what they are asked, and answer what a test says: Ray without processes."""

import itertools

import pytest
import ray
from ray.exceptions import ActorDiedError, ObjectReconstructionFailedError, RayTaskError

from launch.flow.base import RolloutInfo

RETURNS = {"rollout": 2, "update": 3}


class Ref:
    """A reference; what it refers to is there once `value` is set."""

    numbers = itertools.count()

    def __init__(self, name):
        self.name = f"{name}{next(self.numbers)}"

    def __repr__(self):
        return self.name

    def set(self, value):
        self.value = value


class Actor:
    """Stands for an actor: every method of it returns new references, with the answers, if any.

    An answer is a value or a function of the arguments.
    """

    def __init__(self, **answers):
        self.answers = answers
        self.asked = []
        self.killed = False

    def refs(self, method):
        """Return the references of all calls of a method."""
        return [refs for name, _, refs in self.asked if name == method]

    def __getattr__(self, method):
        actor = self

        class Method:
            def remote(self, *arguments):
                refs = [Ref(method) for _ in range(RETURNS.get(method, 1))]
                if method in actor.answers:
                    answer = actor.answers[method]
                    for ref in refs:
                        ref.set(answer(*arguments) if callable(answer) else answer)
                actor.asked.append((method, arguments, refs))
                return refs if len(refs) > 1 else refs[0]

        return Method()


class FakeCluster:
    """Creates such actors, and notes which."""

    def __init__(self, free=0, **learner):
        self.free = free
        self.learner_answers = {"start": None, "weights": "weights", **learner}
        self.learner_answers.setdefault("state", {"frames": 0, "version": 0})
        self.workers = []  # index, restart, actor
        self.learners = []

    def worker(self, index, restart):
        actor = Actor(node="10.0.0.1")
        self.workers.append((index, restart, actor))
        return actor

    def learner(self, rank):
        self.learners.append(Actor(**self.learner_answers))
        return self.learners[-1]

    def evaluator(self):
        return Actor()

    def free_cpus(self):
        return self.free

    def describe(self):
        return "1 nodes alive"

    def close(self):
        pass


class Clock:
    """A clock that a test sets."""

    now = 0.0

    def __call__(self):
        return self.now


def get(ref, timeout=None):
    if isinstance(ref.value, BaseException):
        raise ref.value
    return ref.value


def wait(refs, num_returns=1, timeout=None):
    done = [ref for ref in refs if hasattr(ref, "value")][:num_returns]
    assert done or timeout is not None, "it would wait for ever"
    return done, [ref for ref in refs if ref not in done]


@pytest.fixture
def no_ray(monkeypatch):
    for name, function in {"get": get, "wait": wait, "put": lambda value: value}.items():
        monkeypatch.setattr(ray, name, function)
    monkeypatch.setattr(ray, "kill", lambda actor: setattr(actor, "killed", True))


def info(num_envs=4):
    return RolloutInfo(num_envs, [], 1.0)


def died():
    """Return what Ray raises when the actor that was asked is dead."""
    error = ActorDiedError()
    error.error_msg = (
        "The actor died unexpectedly before finishing this task.\n\tclass_name: WorkerActor\n"
        "The actor is dead because its worker process has died. Worker exit type: SYSTEM_ERROR "
        "Worker exit detail: Worker exits with a connection error code 2. End of file. Some common "
        "causes include: (1) the process was killed by the OOM killer"
    )
    return error


def raised(cause):
    """Return what Ray raises when an actor's method raised `cause`."""
    return RayTaskError("method", "Traceback: where it was", cause).as_instanceof_cause()


def lost():
    """Return what Ray raises when an argument lay on a node that is lost."""
    return raised(ObjectReconstructionFailedError("00", "", ""))
