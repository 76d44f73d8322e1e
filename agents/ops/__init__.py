"""The agent's math as plain functions: each has a reference in PyTorch, which is its definition."""
