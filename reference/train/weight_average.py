"""Golden vectors of averaged weights: torch.optim.swa_utils.AveragedModel with get_ema_multi_avg_fn.

usage: python reference/train/weight_average.py   (from the repository root)
"""

import json
import pathlib
import platform

import torch
from safetensors.torch import save_file
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

FOLDER = pathlib.Path("packages/train/src/__golden__/weight-average")
STEPS, DECAY, SHAPE = 12, 0.9, (3, 5)


def main():
    generator = torch.Generator().manual_seed(1)
    model = torch.nn.Linear(SHAPE[1], SHAPE[0], bias=False)
    average = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(DECAY))
    parameters, averages = [], []
    for _ in range(STEPS):
        with torch.no_grad():
            model.weight.copy_(torch.randn(SHAPE, generator=generator))
        average.update_parameters(model)
        parameters.append(model.weight.detach().clone())
        averages.append(average.module.weight.detach().clone())
    FOLDER.mkdir(parents=True, exist_ok=True)
    save_file({"parameters": torch.stack(parameters), "averages": torch.stack(averages)}, FOLDER / "vectors.safetensors")
    record = {
        "script": "reference/train/weight_average.py",
        "reference": "torch.optim.swa_utils.AveragedModel, get_ema_multi_avg_fn",
        "versions": {"torch": torch.__version__, "python": platform.python_version()},
        "dtype": "float32", "steps": STEPS, "decay": DECAY, "shape": SHAPE,
        "tolerance": {"averages": 1e-6, "why": "float32"},
    }
    (FOLDER / "case.json").write_text(json.dumps(record, indent=2) + "\n")


main()
