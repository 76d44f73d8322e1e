"""The policy network. Knows nothing of Ray, environments or losses."""

from agents.acting import Actor, ActorStep, greedy, sample, sampler
from agents.agent import Agent, AgentOutput, make_agent
from agents.classifier import Classifier, ClassifierOutput, make_classifier
from agents.classifier_config import ClassifierConfig
from agents.config import AgentConfig
from agents.cores import Core, State, register_core
from agents.encoders import FEATURES, register_encoder

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
    "greedy",
    "make_agent",
    "make_classifier",
    "register_core",
    "register_encoder",
    "sample",
    "sampler",
]
