"""Golden vectors of AdamW with clipping and of the warm-up and cosine schedule, from PyTorch and transformers.

Run from the repository root: python3 reference/train/adamw.py
"""

import json
import pathlib
import platform

import torch
import transformers
from safetensors.torch import save_file

SEED = 7
STEPS = 20
FOLDER = pathlib.Path("packages/train/src/__golden__/adamw")
CASES = {
    "plain": dict(lr=1e-2, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0, clip=1.0),
    "decay": dict(lr=3e-3, betas=(0.8, 0.95), eps=1e-6, weight_decay=0.1, clip=0.5),
}
SHAPES = {"w": (5, 7), "b": (3,)}


def run(case):
    generator = torch.Generator().manual_seed(SEED)
    parameters = {k: torch.randn(s, generator=generator).requires_grad_() for k, s in SHAPES.items()}
    start = {k: p.detach().clone() for k, p in parameters.items()}
    settings = {k: v for k, v in case.items() if k != "clip"}
    optimizer = torch.optim.AdamW(parameters.values(), foreach=False, **settings)
    schedule = transformers.get_cosine_schedule_with_warmup(optimizer, 3, STEPS)
    gradients, norms, rates, after = {k: [] for k in SHAPES}, [], [], {k: [] for k in SHAPES}
    for _ in range(STEPS):
        for name, parameter in parameters.items():
            parameter.grad = torch.randn(parameter.shape, generator=generator) * 0.3
            gradients[name].append(parameter.grad.clone())
        norms.append(torch.nn.utils.clip_grad_norm_(parameters.values(), case["clip"]))
        rates.append(torch.tensor(schedule.get_last_lr()[0], dtype=torch.float32))
        optimizer.step()
        schedule.step()
        for name, parameter in parameters.items():
            after[name].append(parameter.detach().clone())
    tensors = {f"start.{k}": v for k, v in start.items()}
    for name in SHAPES:
        tensors[f"gradients.{name}"] = torch.stack(gradients[name])
        tensors[f"after.{name}"] = torch.stack(after[name])
    tensors["norms"] = torch.stack(norms)
    tensors["rates"] = torch.stack(rates)
    return tensors


def main():
    FOLDER.mkdir(parents=True, exist_ok=True)
    tensors = {f"{name}.{k}": v for name, case in CASES.items() for k, v in run(case).items()}
    save_file(tensors, FOLDER / "vectors.safetensors")
    record = {
        "script": "reference/train/adamw.py",
        "reference": "torch.optim.AdamW, torch.nn.utils.clip_grad_norm_, transformers.get_cosine_schedule_with_warmup",
        "versions": {
            "torch": torch.__version__,
            "transformers": transformers.__version__,
            "python": platform.python_version(),
        },
        "seed": SEED,
        "steps": STEPS,
        "warmupSteps": 3,
        "cases": CASES,
        "dtype": "float32",
        "tolerance": {
            "rtol": 1e-5,
            "atol": 1e-6,
            "why": "float32 elementwise arithmetic over 20 steps; sums of squares are added in another order",
        },
    }
    (FOLDER / "case.json").write_text(json.dumps(record, indent=2) + "\n")


main()
