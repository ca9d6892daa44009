"""Golden vectors of adaptive weights: log-variances of the terms as parameters of torch.optim.AdamW, clamped after every step.

usage: python reference/train/adaptive_weights.py   (from the repository root)
"""

import json
import pathlib
import platform

import torch
from safetensors.torch import save_file

FOLDER = pathlib.Path("packages/train/src/__golden__/adaptive-weights")
STEPS, SAMPLES, RATE, LIMIT = 40, 3, 0.05, 1.2
WEIGHTS = [1.0, 2.0, 0.5, 1.0, 0.0]


def main():
    generator = torch.Generator().manual_seed(3)
    losses = torch.rand(STEPS, SAMPLES, 5, generator=generator, dtype=torch.float64) * torch.tensor([3.0, 0.05, 1.0, 0.4, 1.0]).double()
    # A term with confidences falls below 0, and some samples lack terms.
    losses[:, :, 3] -= torch.linspace(0, 3, STEPS)[:, None].double()
    losses[::3, 0, 0] = float("nan")
    losses[::4, 1, 1:] = float("nan")
    losses[:, :, 4] = float("nan")
    losses = losses.float().double()
    s = torch.nn.Parameter(torch.zeros(5, dtype=torch.float64))
    optimizer = torch.optim.AdamW([s], lr=RATE, weight_decay=0.0)
    factors = torch.cos(torch.linspace(0, 1.5, STEPS)).float().double()
    weights = torch.tensor(WEIGHTS).double()
    history = []
    for step in range(STEPS):
        optimizer.param_groups[0]["lr"] = RATE * float(factors[step])
        optimizer.zero_grad()
        present = ~losses[step].isnan()
        terms = weights * torch.exp(-s) * losses[step].nan_to_num() + s / 2
        (terms * present).sum(1).mean().backward()
        optimizer.step()
        with torch.no_grad():
            s.clamp_(-LIMIT, LIMIT)
        history.append(s.detach().clone())
    FOLDER.mkdir(parents=True, exist_ok=True)
    tensors = {"losses": losses, "logVariances": torch.stack(history), "factors": factors}
    save_file({k: v.float().contiguous() for k, v in tensors.items()}, FOLDER / "vectors.safetensors")
    record = {
        "script": "reference/train/adaptive_weights.py",
        "reference": "torch.optim.AdamW over log-variances of sum(w exp(-s) L + s/2) (arXiv:1705.07115, equation 7), clamp_",
        "versions": {"torch": torch.__version__, "python": platform.python_version()},
        "dtype": "float64",
        "steps": STEPS, "samples": SAMPLES, "learningRate": RATE, "limit": LIMIT, "weights": WEIGHTS,
        "tolerance": {"logVariances": 1e-6, "why": "float64 on both sides, stored as float32"},
    }
    (FOLDER / "case.json").write_text(json.dumps(record, indent=2) + "\n")
    print(history[0], history[-1])


main()
