"""Checks a LLaVA-OneVision-1.5 folder that we saved, and the states that we computed from it, against stock classes.

usage: python reference/llava-onevision-15/check_saved.py FOLDER TAPS.safetensors --images A B ...

TAPS is what `spatialsv taps` writes for the same images. Passes when every parameter has its tensor, no tensor is left over, and
every state agrees within 1e-4 of its largest magnitude (float32, eager attention; images one by one).
"""

import json
import sys
from pathlib import Path

import numpy as np
import torch
from safetensors import safe_open

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "backbones"))
from model import OneVision15, load, make_images, read_config  # noqa: E402
from saved import arguments, report  # noqa: E402


def read_tensors(folder: Path) -> dict[str, torch.Tensor]:
    """Float32 tensors by published name."""
    index = folder / "model.safetensors.index.json"
    files = set(json.loads(index.read_text())["weight_map"].values()) if index.exists() else ["model.safetensors"]
    tensors = {}
    for file in files:
        with safe_open(folder / file, "pt") as opened:
            tensors |= {name: opened.get_tensor(name).float() for name in opened.keys()}
    prefixes = (("model.visual.", "visual."), ("model.language_model.", "model."))
    return {next((new + n[len(old) :] for old, new in prefixes if n.startswith(old)), n): t for n, t in tensors.items()}


def main() -> int:
    options = arguments(__doc__)
    folder = Path(options.folder)
    tensors = read_tensors(folder)
    read, problems = set(), []

    def tensor_of(name: str, shape) -> torch.Tensor:
        read.add(name)
        if name in tensors and tuple(tensors[name].shape) == shape:
            return tensors[name]
        problems.append(f"{name}: expected {shape}")
        return torch.zeros(shape)

    model = load(OneVision15(read_config(folder)), tensor_of)
    problems += sorted(f"unexpected: {name}" for name in tensors.keys() - read)
    processor = make_images(folder)
    ids = torch.from_numpy(options.taps["input_ids"].astype(np.int64))
    with torch.no_grad():
        views = [processor(images=[image], return_tensors="pt") for image in options.images]
        rows = torch.cat([model.encode(view["pixel_values"], view["image_grid_thw"][0])[1] for view in views])
        out = model.language(inputs_embeds=model.embed(ids, rows), output_hidden_states=True)
    return report(options.taps, out.hidden_states, out.logits[0], problems)


if __name__ == "__main__":
    sys.exit(main())
