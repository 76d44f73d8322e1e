"""The IMPALA learner: rollouts, V-trace, losses and the update."""
