"""The policy network. Knows nothing of Ray, environments or losses."""

from agents.agent import Agent, AgentOutput, make_agent, sample
from agents.config import AgentConfig

__all__ = ["Agent", "AgentConfig", "AgentOutput", "make_agent", "sample"]
