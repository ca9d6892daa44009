"""Nearest distances, Chamfer distance and F-score of point clouds, from SciPy's k-d tree.

usage: python clouds_golden.py > packages/core/src/geometry/__golden__/clouds.json
"""

import json

import numpy as np
from scipy.spatial import cKDTree


def case(name, prediction, target, threshold):
    forth, _ = cKDTree(target).query(prediction)
    back, _ = cKDTree(prediction).query(target)
    precision, recall = (forth < threshold).mean(), (back < threshold).mean()
    errors = {
        "accuracy": forth.mean(),
        "completeness": back.mean(),
        "chamfer": (forth.mean() + back.mean()) / 2,
        "precision": precision,
        "recall": recall,
        "fScore": 2 * precision * recall / (precision + recall),
    }
    return {
        "name": name,
        "prediction": prediction.ravel().tolist(),
        "target": target.ravel().tolist(),
        "threshold": threshold,
        "nearest": forth.tolist(),
        "errors": {key: float(value) for key, value in errors.items()},
    }


def main():
    random = np.random.default_rng(11)
    normal = lambda n: random.standard_normal((n, 3)).round(4)
    plane = np.stack([*np.meshgrid(np.arange(12) / 4, np.arange(9) / 4), np.zeros((9, 12))], -1).reshape(-1, 3)
    cases = [
        case("two clouds", normal(150), normal(90), 0.5),
        case("a plane and its noise", plane + 0.05 * normal(108), plane, 0.08),
        case("a few points", normal(3), normal(5), 1.5),
    ]
    print(json.dumps(cases))


main()
