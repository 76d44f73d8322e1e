"""Draw pictures of the few-shot data, a row for each class: `python contact_sheets.py FOLDER`."""

import sys
from pathlib import Path
from typing import get_args

import numpy as np
from PIL import Image

from envs.fewshot import DataConfig, Split, contact_sheet, load_source

CLASSES, PICTURES = 10, 12

folder = Path(sys.argv[1])
folder.mkdir(parents=True, exist_ok=True)
for data in (DataConfig(name="glyphs"), DataConfig(name="sprites", difficulty=0.5)):
    for split in get_args(Split):
        source = load_source(data, split)
        rng = np.random.default_rng(0)
        classes = rng.choice(len(source.names), CLASSES, replace=False)
        sheet = contact_sheet(source, classes, PICTURES, rng).squeeze()
        Image.fromarray(sheet).quantize(32).save(folder / f"{data.name}-{split}.png", optimize=True)
        print(f"{data.name} {split}: {len(source.names)} classes")
