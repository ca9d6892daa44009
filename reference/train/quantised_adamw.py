"""Golden vectors of AdamW with moments of 8 bits, block by block: the formula of docs/training.md in PyTorch, float32, op by op.

usage: python reference/train/quantised_adamw.py   (from the repository root)
"""

import json
import pathlib
import platform
import sys

import numpy as np
import torch
from safetensors.torch import save_file

FOLDER = pathlib.Path("packages/train/src/__golden__/quantised-adamw")
BLOCK, STEPS = 256, 20
SMALLEST = 1e-28
SIZES = {"a": (4096 + 40,), "b": (70, 64)}
SETTINGS = dict(lr=1e-2, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.05, scale=0.5)
# Magnitudes of gradients within a tensor differ by up to so many factors of 2: one decade, six decades.
HALVINGS = {"a": 3, "b": 20}
sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "heads"))
from fill import fill  # noqa: E402

f32 = lambda x: torch.tensor(x, dtype=torch.float32)


def blocks(x):
    return torch.nn.functional.pad(x.reshape(-1), (0, -x.numel() % BLOCK)).reshape(-1, BLOCK)


def root4(x):
    return x.sqrt().sqrt()


def encode(x, signed):
    x = blocks(x)
    largest = x.abs().amax(1, keepdim=True)
    # Blocks without a larger value are stored as zeros.
    kept = (largest > SMALLEST).float()
    per_root = kept / root4(largest.clamp_min(f32(SMALLEST)))
    if signed:
        steps = (root4(x.abs()) * x.sign()) * (per_root * 127)
        return (steps + 128.5).floor(), largest * kept
    steps = root4(x) * (per_root * 255)
    return torch.maximum(steps + 0.5, (steps > 0).float()).floor(), largest * kept


def decode(codes, largest, signed, shape):
    root = root4(largest)
    if signed:
        r = (codes - 128) * (root * f32(1 / 127))
        values = (r * r.abs()) * (r * r)
    else:
        r = codes * (root * f32(1 / 255))
        values = (r * r) * (r * r)
    return values.reshape(-1)[: int(np.prod(shape))].reshape(shape)


def step(parameter, gradient, moments, t):
    (b1, b2), shape = SETTINGS["betas"], parameter.shape
    m, v = (decode(*moments[k], k == "first", shape) for k in ("first", "second"))
    scale, second_scale = f32(SETTINGS["scale"]), f32(1 / (1 - b2**t) ** 0.5)
    m = m * f32(b1) + gradient * (scale * f32(1 - b1))
    v = v * f32(b2) + gradient * gradient * (scale * scale * f32(1 - b2))
    denominator = v.sqrt() + f32(SETTINGS["eps"]) / second_scale
    update = m / denominator * (f32(SETTINGS["lr"] / (1 - b1**t)) / second_scale)
    parameter = parameter * f32(1 - SETTINGS["lr"] * SETTINGS["weight_decay"]) - update
    return parameter, {"first": encode(m, True), "second": encode(v, False)}


def main():
    tensors, exact = {}, {}
    for name, shape in SIZES.items():
        parameter = fill(f"start.{name}", shape).float()
        # Powers of two of every element's own, so that both sides have the same bits.
        size = 2 ** -torch.floor(HALVINGS[name] * 2 * fill(f"size.{name}", shape).abs())
        mean = fill(f"mean.{name}", shape)
        gradients = torch.stack([((mean + fill(f"noise.{i}.{name}", shape)).float() * size).float() for i in range(STEPS)])
        reference = torch.nn.Parameter(parameter.clone())
        adamw = torch.optim.AdamW([reference], **{k: v for k, v in SETTINGS.items() if k != "scale"})
        zero = (torch.full((-(-parameter.numel() // BLOCK), BLOCK), 128.0), torch.zeros(-(-parameter.numel() // BLOCK), 1))
        moments = {"first": zero, "second": (zero[0] - 128, zero[1])}
        start = parameter
        for t in range(1, STEPS + 1):
            parameter, moments = step(parameter, gradients[t - 1], moments, t)
            reference.grad = gradients[t - 1] * SETTINGS["scale"]
            adamw.step()
            if t in (1, STEPS):
                tensors[f"after.{t}.{name}"] = parameter
        for kind in ("first", "second"):
            tensors[f"{kind}.{name}"] = decode(*moments[kind], kind == "first", parameter.shape)
        moved, difference = reference - start, parameter - reference
        exact[name] = float((difference.norm() / moved.norm()).detach())
    FOLDER.mkdir(parents=True, exist_ok=True)
    save_file({k: v.detach().contiguous() for k, v in tensors.items()}, FOLDER / "vectors.safetensors")
    record = {
        "script": "reference/train/quantised_adamw.py",
        "reference": "block-wise moments of 8 bits (docs/training.md) in PyTorch; torch.optim.AdamW for the distance to 32 bits",
        "versions": {"torch": torch.__version__, "python": platform.python_version()},
        "dtype": "float32", "inputs": "reference/heads/fill.py", "steps": STEPS, "sizes": SIZES, "halvings": HALVINGS, "settings": SETTINGS,
        "distanceTo32Bits": exact,
        "tolerance": {"values": 1e-6, "why": "the same float32 operations in the same order"},
    }
    (FOLDER / "case.json").write_text(json.dumps(record, indent=2) + "\n")
    print(exact)


main()
