"""The policy network. Knows nothing of Ray, environments or losses."""

from agents.acting import sample
from agents.agent import Agent, AgentOutput, make_agent
from agents.config import AgentConfig
from agents.cores import Core, State, register_core
from agents.encoders import FEATURES, register_encoder

__all__ = [
    "FEATURES",
    "Agent",
    "AgentConfig",
    "AgentOutput",
    "Core",
    "State",
    "make_agent",
    "register_core",
    "register_encoder",
    "sample",
]
