"""Train a small run and read its metrics: `python train.py [KEY=VALUE ...]`."""

import json
import sys

from launch import load_config, train

config = load_config("cartpole", ["total_frames=20_000", "log_every_frames=1000", *sys.argv[1:]])
run = train(config)

for line in run.metrics_file.read_text().splitlines():
    row = json.loads(line)
    if "return/CartPole-v1" in row:  # an episode has ended
        print(f"{row['frames']:>8,.0f} frames: mean return {row['return/CartPole-v1']:.1f}")
