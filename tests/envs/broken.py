"""Environments that break their contract, each in one way, as users write them.

`tests.envs.broken:NAME-v0`, registered for each entry of `BROKEN` (the message that is expected)
and of `ODD_BUT_FINE` (which must work).
"""

from __future__ import annotations

import os
import random
import sys
import threading

import gymnasium
import numpy as np
from gymnasium import spaces

VECTOR = spaces.Box(-10, 10, (4,), np.float32)
IMAGE = spaces.Box(0, 255, (16, 16, 3), np.uint8)


class Base(gymnasium.Env):
    """Seven steps an episode; observations count up from 1."""

    observation_space = VECTOR
    action_space = spaces.Discrete(3)
    length = 7

    def seen(self):
        if self.observation_space is IMAGE:
            return np.full((16, 16, 3), 9, np.uint8)
        return np.arange(4, dtype=np.float32) + 1

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.t = 0
        return self.seen(), {}

    def step(self, action):
        self.t += 1
        return self.seen(), 1.0, self.t >= self.length, False, {}


BROKEN: dict[str, str] = {}
ODD_BUT_FINE: list[str] = []


def _register(name, methods):
    kind = type(name, (Base,), methods)
    globals()[name] = kind
    gymnasium.register(f"{name}-v0", entry_point=kind)


def broken(name, message, **methods):
    BROKEN[name] = message
    _register(name, methods)


def fine(name, **methods):
    ODD_BUT_FINE.append(name)
    _register(name, methods)


def raising(error):
    def method(self, *arguments, **named):
        raise error

    return method


def returns(value):
    return lambda self, *arguments, **named: value


def third_step(change):
    """Return a step() that changes what the third step of an episode returns."""

    def step(self, action):
        result = Base.step(self, action)
        return change(*result) if self.t == 3 else result

    return step


def shows(observation, space=VECTOR):
    return {"seen": lambda self: observation, "observation_space": space}


class _Second(Base):
    made = 0


def _grows(self):
    type(self).made = getattr(type(self), "made", 0) + 1
    self.observation_space = spaces.Box(-1, 1, (3 + type(self).made % 2,), np.float32)


# --- errors
broken(
    "RaisesInInit",
    "its constructor raised OSError: no simulator",
    __init__=raising(OSError("no simulator")),
)
broken("RaisesInReset", "reset() raised OSError: gone", reset=raising(OSError("gone")))
broken("RaisesInStep", "step() raised OSError: gone", step=raising(OSError("gone")))
broken("RaisesLater", "raised ZeroDivisionError", step=third_step(lambda *_: (1 / 0,)))
broken("RaisesNothing", "step() raised KeyError", step=raising(KeyError()))
broken("ExitsInInit", "its constructor raised SystemExit: 3", __init__=lambda self: sys.exit(3))
broken("ExitsInReset", "reset() raised SystemExit", reset=lambda self, **_: sys.exit(3))
broken("ExitsInStep", "step() raised SystemExit", step=lambda self, action: sys.exit(3))
broken("RaisesTwoLines", "raised ValueError: a b", step=raising(ValueError("a\n  b")))
broken("WantsAnArgument", "its constructor raised TypeError", __init__=lambda self, path: None)
# --- reset
broken("OldReset", "must return (observation, info)", reset=returns(np.ones(4, np.float32)))
broken("ResetNone", "must return (observation, info)", reset=returns(None))
broken("ResetThree", "must return (observation, info)", reset=returns((np.ones(4), {}, 1)))
broken("ResetTwoFloats", "must return (observation, info)", reset=returns((1.0, 2.0)))
broken("ResetNoObservation", "observation that is a NoneType", reset=returns((None, {})))
broken("OldSeed", "takes no seed", reset=lambda self: (np.ones(4, np.float32), {}))
# --- step
broken("OldStep", "not a tuple of 4", step=returns((np.ones(4, np.float32), 1.0, False, {})))
broken("StepNone", "not a NoneType", step=returns(None))
broken("StepList", "not a list", step=returns([np.ones(4, np.float32), 1.0, False, False, {}]))
# --- observations
broken("WrongShape", "has shape [5], but its space [4]", **shows(np.zeros(5, np.float32)))
broken("ExtraAxis", "has shape [1, 4]", **shows(np.zeros((1, 4), np.float32)))
broken("Scalar", "has shape []", **shows(1.0))
broken("ChannelsFirst", "has shape [3, 16, 16]", **shows(np.zeros((3, 16, 16), np.uint8), IMAGE))
broken("FloatImage", "is float64, but its space uint8", **shows(np.full((16, 16, 3), 0.5), IMAGE))
broken("WideImage", "outside 0..255", **shows(np.full((16, 16, 3), 300, np.int64), IMAGE))
broken("NegativeImage", "outside 0..255", **shows(np.full((16, 16, 3), -1, np.int16), IMAGE))
broken("Ragged", "is no array", **shows([[1.0], [1.0, 2.0]]))
broken("Text", "not numbers", **shows("left"))
broken("Objects", "not numbers", **shows(np.array([None] * 4)))
broken("Complex", "not numbers", **shows(np.ones(4, complex)))
broken("NaN", "is nan at index 2", **shows(np.array([1, 2, np.nan, 4], np.float32)))
broken("Infinite", "is inf at index 0", **shows(np.array([np.inf, 2, 3, 4], np.float32)))
broken(
    "Overflows",
    "is inf at index 1",
    **shows(np.array([1, 1e300, 3, 4]), spaces.Box(-np.inf, np.inf, (4,), np.float64)),
)
broken(
    "NaNLater",
    "is nan at index 0 (as float32) (after 2 steps",
    step=third_step(lambda o, *rest: (np.full(4, np.nan, np.float32), *rest)),
)
broken("ShapeLater", "has shape [3]", step=third_step(lambda o, *rest: (o[:3], *rest)))
broken("OutOfDiscrete", "is not in its space Discrete(3)", **shows(3, spaces.Discrete(3)))
broken("NegativeDiscrete", "is not in its space", **shows(-1, spaces.Discrete(3)))
broken(
    "WrongKey",
    "is not in its space Dict",
    **shows({"b": np.ones(1, np.float32)}, spaces.Dict({"a": spaces.Box(0, 1, (1,), np.float32)})),
)
broken(
    "ShortTuple",
    "is not in its space Tuple",
    **shows((1,), spaces.Tuple((spaces.Discrete(2), spaces.Discrete(2)))),
)
broken(
    "NaNInTuple",
    "is not in its space Tuple",
    **shows(
        (1, np.array([np.nan], np.float32)),
        spaces.Tuple((spaces.Discrete(2), spaces.Box(-np.inf, np.inf, (1,), np.float32))),
    ),
)
# --- rewards and flags
broken("NaNReward", "the reward nan", step=third_step(lambda o, r, *x: (o, float("nan"), *x)))
broken("InfiniteReward", "the reward inf", step=third_step(lambda o, r, *x: (o, float("inf"), *x)))
broken("HugeReward", "(as float32 inf)", step=third_step(lambda o, r, *x: (o, 1e39, *x)))
broken("NoReward", "the reward None", step=third_step(lambda o, r, *x: (o, None, *x)))
broken("TextReward", "the reward 'ten'", step=third_step(lambda o, r, *x: (o, "ten", *x)))
broken("TwoRewards", "the reward [1, 2]", step=third_step(lambda o, r, *x: (o, [1, 2], *x)))
broken("NoFlag", "terminated None", step=third_step(lambda o, r, d, *x: (o, r, None, *x)))
broken("TextFlag", "terminated 'no'", step=third_step(lambda o, r, d, *x: (o, r, "no", *x)))
broken("FlagTwo", "truncated 2", step=third_step(lambda o, r, d, u, i: (o, r, d, 2, i)))
broken(
    "FlagArray",
    "terminated array",
    step=third_step(lambda o, r, d, *x: (o, r, np.array([True, False]), *x)),
)
# --- spaces
broken("NoActions", "actions must be Discrete", action_space=VECTOR)
broken("NoSpace", "must be a space, not None", observation_space=None)
broken("TextSpace", "must be uint8 images", observation_space=spaces.Text(4))
broken("SpacesDiffer", "its spaces differ between two instances", __init__=_grows)

# --- what must work
fine("Prints", step=third_step(lambda *result: (print("hello from step"), result)[1]))
fine("Int64Vector", **shows(np.array([1, 2, 3, 4])))
fine("ListOfNumbers", **shows([1.0, 2.0, 3.0, 4.0]))
fine("Int64Image", **shows(np.full((16, 16, 3), 255, np.int64), IMAGE))
fine("NumpyFlags", step=third_step(lambda o, r, d, u, i: (o, r, np.bool_(d), np.bool_(u), i)))
fine("IntFlags", step=third_step(lambda o, r, d, u, i: (o, r, int(d), int(u), i)))
fine("NumpyReward", step=third_step(lambda o, r, *x: (o, np.float64(2), *x)))
fine("IntReward", step=third_step(lambda o, r, *x: (o, 2, *x)))
fine("BoolReward", step=third_step(lambda o, r, *x: (o, True, *x)))
fine("OutsideItsBox", **shows(np.full(4, 11, np.float32)))
fine("ActionsFromFive", action_space=spaces.Discrete(3, start=5))
fine("RaisesInClose", close=raising(OSError("gone")))


def _moves(self, action):
    os.chdir("/")
    return Base.step(self, action)


def _reseeds(self, action):
    random.seed(0)
    np.random.seed(0)
    return Base.step(self, action)


def _threads(self, action):
    thread = threading.Thread(target=lambda: None)
    thread.start()
    thread.join()
    return Base.step(self, action)


_register("Endless", {"length": 10**9})  # in neither list: no episode of it ends


fine("ChangesDirectory", step=_moves)
fine("Reseeds", step=_reseeds)
fine("StartsThreads", step=_threads)
