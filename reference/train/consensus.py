"""Golden vectors of the weights that two teachers' agreement gives to pixels: the equations of docs/training.md in numpy, float64.

usage: python reference/train/consensus.py   (from the repository root)
"""

import json
import pathlib
import platform

import numpy as np
from safetensors.numpy import save_file

FOLDER = pathlib.Path("packages/train/src/__golden__/consensus")
VIEWS, HEIGHT, WIDTH, TOLERANCE = 2, 5, 7, 0.08


def teacher(rng, scale, noise, turn):
    """Learnable labels of a teacher: depth, mask, rays (origin, direction), points = origin + depth * direction, in units of its own."""
    v, y, x = np.mgrid[0:VIEWS, 0:HEIGHT, 0:WIDTH].astype(float)
    depth = scale * (1 + 0.1 * x + 0.05 * y + 0.3 * v) * np.exp(noise * rng.standard_normal(v.shape))
    mask = rng.random(v.shape) < 0.8
    directions = np.stack([(x - 3 + turn * v) / 7, (y - 2) / 7, np.ones_like(x)], -1)
    origins = scale * np.stack([0.5 * v, 0.1 * v, 0 * v], -1)
    points = (origins + depth[..., None] * directions) * mask[..., None]
    maps = {"depth": depth * mask, "mask": mask.astype(float), "rays": np.concatenate([origins, directions], -1), "points": points}
    return {k: m.astype(np.float32) for k, m in maps.items()}


def consensus(first, second):
    a, b = ({k: m.astype(float) for k, m in maps.items()} for maps in (first, second))
    both = (a["mask"] == 1) & (b["mask"] == 1)
    s = np.exp(np.median(np.log(a["depth"][both]) - np.log(b["depth"][both])))
    unit = np.array([s, s, s, 1, 1, 1])
    with np.errstate(divide="ignore", invalid="ignore"):
        errors = {
            "depth": np.abs(a["depth"] - s * b["depth"]) / a["depth"],
            "rays": np.linalg.norm(a["rays"] - unit * b["rays"], axis=-1),
            "points": np.linalg.norm(a["points"] - s * b["points"], axis=-1) / a["depth"],
        }
        weights = {task: 1 / (1 + (e / TOLERANCE) ** 2) for task, e in errors.items()}
    for task in ("depth", "points"):
        weights[task][~both] = 0.5
    difference = np.where(both, a["depth"] - s * b["depth"], 0)
    rms = np.sqrt((difference**2).sum((1, 2)) / both.sum((1, 2)))
    mean = (weights["depth"] * a["mask"]).sum() / a["mask"].sum()
    return s, weights, rms, mean


def main():
    rng = np.random.default_rng(7)
    first, second = teacher(rng, 1.0, 0.02, 0.0), teacher(rng, 0.4, 0.1, 0.2)
    s, weights, rms, mean = consensus(first, second)
    tensors = {f"first.{k}": m for k, m in first.items()} | {f"second.{k}": m for k, m in second.items()}
    tensors |= {f"weights.{k}": w.astype(np.float32) for k, w in weights.items()} | {"depthErrors": rms.astype(np.float32)}
    FOLDER.mkdir(parents=True, exist_ok=True)
    save_file(tensors, FOLDER / "vectors.safetensors")
    record = {
        "script": "reference/train/consensus.py",
        "reference": "the equations of docs/training.md (two teachers) in numpy",
        "versions": {"numpy": np.__version__, "python": platform.python_version()},
        "dtype": "float64 of float32 maps",
        "views": VIEWS, "height": HEIGHT, "width": WIDTH, "tolerance": {"weights": 1e-6, "why": "float64 on both sides, stored as float32"},
        "teacherTolerance": TOLERANCE, "scale": float(s), "consensus": float(mean),
    }
    (FOLDER / "case.json").write_text(json.dumps(record, indent=2) + "\n")
    print(s, rms, mean, {k: (w.min(), w.max()) for k, w in weights.items()})


main()
