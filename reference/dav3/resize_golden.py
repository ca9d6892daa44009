"""Golden vectors of packages/core/src/images/resize-opencv.ts: 8-bit images and what OpenCV makes of them.

Run: python reference/dav3/resize_golden.py
"""
import json
from pathlib import Path

import cv2
import numpy as np
from safetensors.numpy import save_file

FOLDER = Path(__file__).parents[2] / "packages/core/src/images/__golden__/opencv"
SEED = 23
# (height, width) of source and result
AREA = [((8, 12), (4, 5)), ((24, 36), (12, 18)), ((27, 36), (9, 12)), ((24, 30), (8, 15)), ((31, 47), (29, 47)),
        ((33, 20), (28, 20)), ((40, 53), (23, 30)), ((45, 64), (44, 63)), ((20, 20), (1, 1)), ((24, 18), (14, 14))]
CUBIC = [((8, 12), (10, 16)), ((37, 53), (42, 56)), ((40, 30), (42, 28)), ((1, 1), (3, 5)), ((7, 9), (14, 14)),
         ((50, 39), (50, 42)), ((21, 30), (29, 41))]


def pattern():
    y, x = np.mgrid[0:8, 0:12]
    return np.repeat(((23 * x + 31 * y + 11 * ((x * y) % 5)) % 256).astype(np.uint8)[..., None], 3, -1)


def vectors(name, sizes, interpolation, rng):
    result = {}
    for i, ((h, w), (height, width)) in enumerate(sizes):
        source = pattern() if (h, w) == (8, 12) else rng.integers(0, 256, (h, w, 3), dtype=np.uint8)
        result[f"{name}.{i}.source"] = source
        result[f"{name}.{i}.result"] = cv2.resize(source, (width, height), interpolation=interpolation)
    return result


FOLDER.mkdir(parents=True, exist_ok=True)
rng = np.random.default_rng(SEED)
stored = vectors("area", AREA, cv2.INTER_AREA, rng) | vectors("cubic", CUBIC, cv2.INTER_CUBIC, rng)
save_file({k: np.ascontiguousarray(v) for k, v in stored.items()}, FOLDER / "vectors.safetensors")
case = {
    "script": "reference/dav3/resize_golden.py",
    "versions": {"opencv": cv2.__version__, "numpy": np.__version__, "ipp": bool(cv2.ipp.useIPP())},
    "seed": SEED,
    "area": len(AREA),
    "cubic": len(CUBIC),
    "tolerance": "0 grey levels",
}
(FOLDER / "case.json").write_text(json.dumps(case, indent=2) + "\n")
