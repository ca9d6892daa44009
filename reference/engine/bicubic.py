"""Golden vectors of bicubic resizing: `python bicubic.py > packages/engine/src/__golden__/bicubic/case.json`."""

import json

import torch

CASES = {
    "plain": dict(size=(5, 4)),
    "scaled": dict(scale_factor=(2.1, 1.52)),
    "aligned": dict(size=(4, 7), align_corners=True),
    "antialias": dict(size=(2, 3), antialias=True),
    "antialias_up": dict(size=(5, 6), antialias=True),
}


def main():
    x = torch.arange(30, dtype=torch.float32).reshape(1, 2, 3, 5).sin()
    cases = {}
    for name, options in CASES.items():
        y = torch.nn.functional.interpolate(x, mode="bicubic", **options)
        cases[name] = dict(shape=list(y.shape), values=[round(v, 7) for v in y.flatten().tolist()])
    case = dict(
        reference="torch.nn.functional.interpolate(mode='bicubic')",
        script="reference/engine/bicubic.py",
        versions={"torch": torch.__version__.split("+")[0]},
        input="sin(0 … 29) as (1, 2, 3, 5), NCHW",
        dtype="float32",
        tolerance=2e-6,
        why="float32 weights and sums of at most 25 terms of size 1",
        cases=cases,
    )
    print(json.dumps(case, indent=1, ensure_ascii=False))


if __name__ == "__main__":
    main()
