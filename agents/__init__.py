"""The policy network and the classifier. Knows nothing of Ray, environments or losses.

Names are imported when they are first used: `agents.config` is read without importing torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from agents.lazy import lazy_names

if TYPE_CHECKING:
    from agents.acting import Actor, ActorStep, greedy, sample, sampler
    from agents.agent import Agent, AgentOutput, make_agent
    from agents.classifier import Classifier, ClassifierOutput, make_classifier
    from agents.classifier_config import ClassifierConfig
    from agents.config import AgentConfig
    from agents.cores import Core, State
    from agents.encoders import FEATURES
    from agents.mode import evaluating
    from agents.registry import register_core, register_encoder

__all__ = [
    "FEATURES",
    "Actor",
    "ActorStep",
    "Agent",
    "AgentConfig",
    "AgentOutput",
    "Classifier",
    "ClassifierConfig",
    "ClassifierOutput",
    "Core",
    "State",
    "evaluating",
    "greedy",
    "make_agent",
    "make_classifier",
    "register_core",
    "register_encoder",
    "sample",
    "sampler",
]

__getattr__ = lazy_names(
    __name__,
    {
        "acting": ["Actor", "ActorStep", "greedy", "sample", "sampler"],
        "agent": ["Agent", "AgentOutput", "make_agent"],
        "classifier": ["Classifier", "ClassifierOutput", "make_classifier"],
        "mode": ["evaluating"],
        "classifier_config": ["ClassifierConfig"],
        "config": ["AgentConfig"],
        "cores": ["Core", "State"],
        "encoders": ["FEATURES"],
        "registry": ["register_core", "register_encoder"],
    },
)
