"""Draw the learning curves of several runs of one configuration, and of an untrained policy.

    python results/curve.py OUT.png RUN [RUN ...] --untrained RUN

Each game's return over frames: thin lines are runs, the thick one their mean, the band two standard
errors over the episodes of all runs in a window. The dashed line is the untrained policy's mean,
with its own two standard errors.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
