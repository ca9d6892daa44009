"""Checks a folder of SigLIP + Qwen2 that we saved, and the states that we computed from it, against stock parts; see model.py.

usage: python reference/llava-next-video-siglip/check_saved.py FOLDER TAPS.safetensors --images A B ...

TAPS is what `spatialsv taps` writes for the same images. Passes when the parts take every tensor of the folder, but for those
of the tower's last block and norm, which never run, and every state agrees within 1e-4 of its largest magnitude.
"""

import json
import sys
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file

REFERENCE = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(REFERENCE / "backbones"))
from model import TOWER, LlavaQwen  # noqa: E402
from saved import arguments, report  # noqa: E402


def load(folder: Path, config: dict):
    model = LlavaQwen(config).eval().float()
    files = sorted(folder.glob("*.safetensors"))
    stored = {name: tensor for file in files for name, tensor in load_file(file).items()}
    last = config["vision_config"]["num_hidden_layers"] - 1
    idle = (f"{TOWER}encoder.layers.{last}.", f"{TOWER}post_layernorm.")
    wanted = dict(model.published())
    with torch.no_grad():
        for name in wanted.keys() & stored.keys():
            wanted[name].copy_(stored[name].float())
    missing = sorted(wanted.keys() - stored.keys())
    unexpected = sorted(name for name in stored.keys() - wanted.keys() if not name.startswith(idle))
    return model, {key: names for key, names in (("missing", missing), ("unexpected", unexpected)) if names}


def main() -> int:
    options = arguments(__doc__)
    folder = Path(options.folder)
    config = json.loads((folder / "config.json").read_text())
    model, problems = load(folder, config)
    ids = options.taps["input_ids"].astype(np.int64)
    first, end = int(options.taps["span"][0, 0]), int(options.taps["span"][-1, 1])
    with torch.no_grad():
        rows = model.visual_rows(model.pixels(options.images))
        # Newlines behind the last frame lie outside of the views' spans.
        end = max(end, first + len(rows))
        embeddings = model.embeddings(ids[:first].tolist(), rows, ids[end:].tolist())
        out = model.decoder(inputs_embeds=embeddings, output_hidden_states=True)
    return report(options.taps, out.hidden_states, out.logits[0], problems)


if __name__ == "__main__":
    sys.exit(main())
