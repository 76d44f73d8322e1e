"""Play complete episodes with the agent of a run: `python evaluate.py RUN [EPISODES]`."""

import sys

from launch import evaluate

run, *episodes = sys.argv[1:]
result = evaluate(run, episodes=int(*episodes) if episodes else 20)

print(f"after {result.frames:,} frames:")
for score in result.scores:
    error = "-" if score.standard_error is None else f"{score.standard_error:.2f}"
    print(f"{score.task} on {score.split}: {score.mean:.2f} ± {error} ({score.episodes} episodes)")
