"""Golden file of packages/core/src/safetensors: written by the Python package, one tensor of every dtype.

Run: python reference/core/safetensors_golden.py        writes the golden
     python reference/core/safetensors_golden.py FILE   reads a file that SpatialSV wrote and compares it
"""
import json
import sys
from pathlib import Path

import safetensors
import torch
from safetensors.torch import load_file, save_file

FOLDER = Path(__file__).parents[2] / "packages/core/src/safetensors/__golden__/python-file"
SEED = 7


def tensors():
    generator = torch.Generator().manual_seed(SEED)
    special = torch.tensor(
        [0.0, -0.0, 1.0, float("inf"), -float("inf"), 65504.0, 65520.0, 2.0**-24, 2.0**-25, 3.0**-20,
         1.00048828125, 1.00146484375, 1.00390625, 1.01171875, 3.4e38, -6.1e-5, 1e-45]
    )
    values = torch.cat([special, torch.randn(111, generator=generator) * 10]).reshape(8, 16)
    return {
        "f32": values,
        "f64": values.double() / 3,
        "f16": values.half(),
        "bf16": values.bfloat16(),
        "i64": torch.tensor([-(2**31), 2**31 - 1, 0, -1]),
        "i32": torch.arange(-3, 3, dtype=torch.int32).reshape(2, 3),
        "i16": torch.tensor([-32768, 32767], dtype=torch.int16),
        "i8": torch.tensor([-128, 127], dtype=torch.int8),
        "u8": torch.tensor([0, 255], dtype=torch.uint8),
        "bool": torch.tensor([True, False, True]),
        "scalar": torch.tensor(2.5),
        "empty": torch.zeros(0, 4),
        "naïve ☃": torch.ones(1),
    }


def write():
    FOLDER.mkdir(parents=True, exist_ok=True)
    save_file(tensors(), FOLDER / "vectors.safetensors", metadata={"format": "pt"})
    case = {
        "script": "reference/core/safetensors_golden.py",
        "versions": {"safetensors": safetensors.__version__, "torch": torch.__version__},
        "seed": SEED,
        "tolerance": "none: conversions are exact, rounding is to nearest even as in torch",
    }
    (FOLDER / "case.json").write_text(json.dumps(case, indent=2) + "\n")


def compare(path):
    found = load_file(path)
    for name, expected in tensors().items():
        assert found[name].dtype == expected.dtype, name
        assert torch.equal(found[name], expected), name
    print(f"{path}: equal, {len(found)} tensors")


compare(sys.argv[1]) if len(sys.argv) > 1 else write()
