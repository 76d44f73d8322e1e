"""Play episodes with a trained agent."""
