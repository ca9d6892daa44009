"""Tensor names, shapes and parameter counts of every released variant, from the official configurations.

Run: python reference/dav3/variants_golden.py --reference DIR --out packages/vfm-dav3/src/__golden__
Nothing is allocated: modules are made on torch's meta device. Names are those of the published files: each layer norm
that the ray levels share once, under its first name.
"""
import argparse
import hashlib
import json
import sys
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).parent))
import tiny_models as tiny  # noqa: E402
from make_golden import REVISION  # noqa: E402

VARIANTS = ["da3-small", "da3-base", "da3-large", "da3-giant", "da3mono-large", "da3metric-large",
            "da3nested-giant-large"]


def build(name):
    from depth_anything_3.cfg import create_object, load_config
    from omegaconf import OmegaConf
    config = load_config(f"depth_anything_3.configs.{name}")
    for part in (config, config.get("anyview", {})):
        for key in ("gs_head", "gs_adapter"):
            part.pop(key, None)
    with torch.device("meta"):
        return create_object(config), OmegaConf.to_container(load_config(f"depth_anything_3.configs.{name}"))


def describe(name):
    net, config = build(name)
    tensors = {f"model.{n}": list(p.shape) for n, p in net.named_parameters()}
    lines = "".join(f"{n} {','.join(map(str, tensors[n]))}\n" for n in sorted(tensors))
    parts = {}
    for n, p in net.named_parameters():
        part = n.split(".")[0]
        parts[part] = parts.get(part, 0) + p.numel()
    return {"config": config, "stateKeys": len(net.state_dict()), "tensors": len(tensors),
            "parameters": sum(parts.values()), "parts": parts, "sha256": hashlib.sha256(lines.encode()).hexdigest()}


parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--reference", type=Path, required=True)
parser.add_argument("--out", type=Path, required=True)
options = parser.parse_args()
tiny.install(options.reference)
linspace = torch.linspace
# Stochastic depth rates are read at construction; on the meta device they have no values.
torch.linspace = lambda *a, **k: linspace(*a, **(k | {"device": "cpu"}))
case = {"script": "reference/dav3/variants_golden.py", "reference": REVISION,
        "versions": {"torch": torch.__version__}, "variants": {name: describe(name) for name in VARIANTS}}
(options.out / "variants").mkdir(parents=True, exist_ok=True)
(options.out / "variants" / "case.json").write_text(json.dumps(case, indent=1) + "\n")
for name, found in case["variants"].items():
    print(name, found["stateKeys"], found["tensors"], found["parameters"], found["parts"])
