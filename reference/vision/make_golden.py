"""Golden vectors of vision towers from Hugging Face transformers (CPU, float64, eager attention).

usage: python reference/vision/make_golden.py

Weights and pixels are not stored: they follow from their names, see `reference/heads/fill.py`.
"""

import json
import sys
from pathlib import Path

import numpy as np
import torch
import transformers
from safetensors.numpy import save_file

sys.path.append(str(Path(__file__).resolve().parents[1] / "heads"))
from fill import fill  # noqa: E402

ROOT = Path(__file__).resolve().parents[2] / "packages/core/src/nn/__golden__"
SIZES = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 3, "num_attention_heads": 2}
IMAGES, SIDE = 2, 56
# Height and width in pixels; towers with a table of positions see squares only.
SIZE = {"rice": (56, 84)}

TOWERS = {
    "clip": ("CLIPVision", {"image_size": SIDE, "patch_size": 14, "hidden_act": "quick_gelu", "layer_norm_eps": 1e-5}),
    "siglip": (
        "SiglipVision",
        {"image_size": SIDE, "patch_size": 14, "hidden_act": "gelu_pytorch_tanh", "layer_norm_eps": 1e-6, "vision_use_head": False},
    ),
    # The tower of LLaVA-OneVision-1.5 (RICE-ViT) under the class that transformers has for it.
    "rice": ("MLCDVision", {"image_size": SIDE, "patch_size": 14, "hidden_act": "gelu", "layer_norm_eps": 1e-5}),
    "internvit": (
        "InternVLVision",
        {
            "image_size": [SIDE, SIDE],
            "patch_size": [14, 14],
            "attention_bias": True,
            "use_qk_norm": False,
            "norm_type": "layer_norm",
            "layer_norm_eps": 1e-6,
            "use_mean_pooling": True,
        },
    ),
}


def make_model(kind: str, options: dict):
    config = getattr(transformers, f"{kind}Config")(**SIZES, **options)
    model = getattr(transformers, f"{kind}Model")._from_config(config, attn_implementation="eager").eval().double()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.copy_(fill(name, parameter.shape))
    return model


def states_of(model, pixels: torch.Tensor, patches: int) -> list[torch.Tensor]:
    """What enters the first block and what every block gives, class token left out."""
    blocks = getattr(model.encoder, "layers", None) or model.encoder.layer
    states = []
    hooks = [blocks[0].register_forward_pre_hook(lambda _, args, kwargs: states.append(args[0] if args else kwargs["hidden_states"]), with_kwargs=True)]
    for block in blocks:
        hooks.append(block.register_forward_hook(lambda *args: states.append(args[-1][0] if isinstance(args[-1], tuple) else args[-1])))
    with torch.no_grad():
        model(pixels)
    for hook in hooks:
        hook.remove()
    return [state[:, state.shape[1] - patches :] for state in states]


def write_case(name: str) -> None:
    kind, options = TOWERS[name]
    height, width = SIZE.get(name, (SIDE, SIDE))
    pixels = fill("pixels", (IMAGES, 3, height, width))
    states = states_of(make_model(kind, options), pixels, (height // 14) * (width // 14))
    case = {
        "script": "reference/vision/make_golden.py",
        "source": f"huggingface/transformers v{transformers.__version__}, {kind}Model",
        "versions": {"python": sys.version.split()[0], "torch": torch.__version__, "transformers": transformers.__version__, "numpy": np.__version__},
        "config": {**SIZES, **options},
        "pixels": list(pixels.shape),
        "tolerance": {"relative": 1e-5, "why": "three blocks in float32 beside float64, relative to the largest magnitude of a state"},
    }
    folder = ROOT / name
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "case.json").write_text(json.dumps(case, indent=2) + "\n")
    vectors = {str(i): np.ascontiguousarray(state.numpy().astype(np.float32)) for i, state in enumerate(states)}
    save_file(vectors, folder / "vectors.safetensors")


for tower in TOWERS:
    write_case(tower)
