"""Chaos: a run on a local cluster in which processes, nodes and environments fail."""
