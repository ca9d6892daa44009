"""Checks a folder that we saved, and the states that we computed from it, against transformers and the models' own code.

usage: python reference/internvl3/check_saved.py FOLDER TAPS.safetensors [--images A B ...] [--max-tiles N] [--internvl CHECKOUT]

TAPS holds `input_ids` (T), `logits` (T, K) and any number of `hidden.<l>` (T, C), as `spatialsv taps` writes them for the
same images and `--set maxTiles=N`. A folder in the original layout is loaded into the class of transformers under converted
names, or, given a checkout of github.com/OpenGVLab/InternVL, into the class that it was made for (needs a transformers of 4.x). Passes when no tensor is missing and none is unexpected and every state agrees within 1e-4 of its largest
magnitude (float32, eager attention).
"""

import argparse
import json
import re
import sys
import types
from pathlib import Path

import numpy as np
import torch
import transformers
from PIL import Image, ImageOps
from safetensors.numpy import load_file

TOLERANCE = 1e-4
RULES = [
    (r"^vision_model\.encoder\.layers\.", "vision_tower.encoder.layer."),
    (r"^vision_model\.", "vision_tower."),
    (r"\.class_embedding$", ".cls_token"),
    (r"\.patch_embedding\.", ".patch_embeddings.projection."),
    (r"\.position_embedding$", ".position_embeddings"),
    (r"\.ls(\d)$", r".lambda_\1"),
    (r"\.attn\.proj\.", ".attention.projection_layer."),
    (r"\.norm1\.", ".layernorm_before."),
    (r"\.norm2\.", ".layernorm_after."),
    (r"^mlp1\.0\.", "multi_modal_projector.layer_norm."),
    (r"^mlp1\.1\.", "multi_modal_projector.linear_1."),
    (r"^mlp1\.3\.", "multi_modal_projector.linear_2."),
    (r"^language_model\.lm_head\.", "lm_head."),
    (r"^language_model\.model\.", "language_model."),
]


def read_weights(folder: Path) -> dict[str, torch.Tensor]:
    from safetensors.torch import load_file as load

    weights = {}
    for file in sorted(folder.glob("*.safetensors")):
        weights |= load(file)
    return weights


def native_weights(weights: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The tensors of an original checkpoint under the names that they have in a model of transformers."""
    found = {}
    for name, value in weights.items():
        for pattern, native in RULES:
            name = re.sub(pattern, native, name)
        name = name if name.startswith("lm_head.") else f"model.{name}"
        if ".attn.qkv." not in name:
            found[name] = value.float()
            continue
        for which, part in zip("qkv", value.float().chunk(3), strict=True):
            found[name.replace(".attn.qkv.", f".attention.{which}_proj.")] = part
    return found


def native_config(config: dict, image_token_id: int):
    from transformers import InternVLConfig

    vision = dict(config["vision_config"])
    size = config.get("force_image_size") or vision["image_size"]
    vision |= {"image_size": [size, size], "patch_size": [vision["patch_size"]] * 2}
    vision |= {"attention_bias": vision.pop("qkv_bias"), "use_qk_norm": vision.pop("qk_normalization")}
    for key in ("model_type", "architectures", "drop_path_rate"):
        vision.pop(key, None)
    text = dict(config["llm_config"]) | {"tie_word_embeddings": config["tie_word_embeddings"]}
    return InternVLConfig(
        vision_config=vision, text_config=text, image_token_id=image_token_id, tie_word_embeddings=config["tie_word_embeddings"]
    )


def load_converted(folder: Path, config: dict, image_token_id: int):
    from transformers import InternVLForConditionalGeneration

    settings = native_config(config, image_token_id)
    model = InternVLForConditionalGeneration._from_config(settings, attn_implementation="eager").float().eval()
    missing, unexpected = model.load_state_dict(native_weights(read_weights(folder)), strict=False)
    tied = {"lm_head.weight"} if config["tie_word_embeddings"] else set()
    model.tie_weights()
    return model, {"missing": sorted(set(missing) - tied), "unexpected": sorted(unexpected)}


def load_native(folder: Path):
    from transformers import InternVLForConditionalGeneration

    model, report = InternVLForConditionalGeneration.from_pretrained(
        folder, dtype=torch.float32, attn_implementation="eager", output_loading_info=True
    )
    return model.eval(), {key: sorted(value) for key, value in report.items()}


def load_own_code(folder: Path, config: dict, checkout: Path, image_token_id: int):
    """The class that original checkpoints come with. Of timm and peft it needs nothing that acts outside training."""
    for package, names in (("timm.models.layers", ["DropPath"]), ("peft", ["LoraConfig", "get_peft_model"])):
        parts = package.split(".")
        for depth in range(1, len(parts) + 1):
            sys.modules.setdefault(".".join(parts[:depth]), types.ModuleType(".".join(parts[:depth])))
        for name in names:
            setattr(sys.modules[package], name, torch.nn.Identity)
    sys.path.append(str(checkout / "internvl_chat"))
    from internvl.model.internvl_chat import InternVLChatConfig, InternVLChatModel

    settings = InternVLChatConfig(**config)
    model = InternVLChatModel(settings, use_flash_attn=False).float().eval()
    weights = {name: value.float() for name, value in read_weights(folder).items()}
    missing, unexpected = model.load_state_dict(weights, strict=False)
    model.img_context_token_id = image_token_id
    return model, {"missing": sorted(missing), "unexpected": sorted(unexpected)}


def tiles_of(image: Image.Image, side: int, most: int, has_thumbnail: bool) -> list[Image.Image]:
    try:
        from transformers.models.got_ocr2.image_processing_pil_got_ocr2 import get_optimal_tiled_canvas
    except ImportError:  # 4.x
        from transformers.models.got_ocr2.image_processing_got_ocr2 import get_optimal_tiled_canvas
    columns, rows = get_optimal_tiled_canvas((image.height, image.width), (side, side), 1, most)
    resized = image.resize((side * columns, side * rows), Image.Resampling.BICUBIC)
    boxes = [(side * c, side * r, side * (c + 1), side * (r + 1)) for r in range(rows) for c in range(columns)]
    tiles = [resized.crop(box) for box in boxes]
    if has_thumbnail and len(tiles) > 1:
        tiles.append(image.resize((side, side), Image.Resampling.BICUBIC))
    return tiles


def pixel_values(images: list[str], side: int, most: int) -> torch.Tensor:
    decoded = [ImageOps.exif_transpose(Image.open(path)).convert("RGB") for path in images]
    tiles = [tile for image in decoded for tile in tiles_of(image, side, most, True)]
    mean, std = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
    values = [((np.asarray(tile) / 255.0 - mean) / std).transpose(2, 0, 1) for tile in tiles]
    return torch.from_numpy(np.stack(values).astype(np.float32))


def compare(what: str, out, taps: dict[str, np.ndarray], problems: dict) -> bool:
    expected = {"logits": out.logits[0].numpy()}
    expected |= {f"hidden.{i}": state[0].numpy() for i, state in enumerate(out.hidden_states)}
    errors = {
        name: float(np.abs(taps[name] - value).max() / np.abs(value).max()) for name, value in expected.items() if name in taps
    }
    problems = {key: value for key, value in problems.items() if value}
    print(f"{what}: {problems or 'no missing, no unexpected tensors'}")
    for name, error in errors.items():
        print(f"{what}: {name}: largest difference {error:.2e} of the largest magnitude")
    return not problems and bool(errors) and max(errors.values()) <= TOLERANCE


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("taps")
    parser.add_argument("--images", nargs="+", required=True)
    parser.add_argument("--max-tiles", type=int, default=1)
    parser.add_argument("--internvl", type=Path)
    options = parser.parse_args()
    config = json.loads((options.folder / "config.json").read_text())
    taps = load_file(options.taps)
    ids = torch.from_numpy(taps["input_ids"].astype(np.int64))[None]
    is_original = config["model_type"] == "internvl_chat"
    side = config["force_image_size"] if is_original else config["vision_config"]["image_size"][0]
    pixels = pixel_values(options.images, side, options.max_tiles)
    added = json.loads((options.folder / "tokenizer.json").read_text())["added_tokens"]
    token = next(entry["id"] for entry in added if entry["content"] == "<IMG_CONTEXT>")
    results = []
    with torch.no_grad():
        if options.internvl is None:
            model, problems = load_converted(options.folder, config, token) if is_original else load_native(options.folder)
            out = model(input_ids=ids, pixel_values=pixels, output_hidden_states=True)
            results.append(compare(f"transformers {transformers.__version__}", out, taps, problems))
        else:
            model, problems = load_own_code(options.folder, config, options.internvl, token)
            flags = torch.ones(len(pixels), 1, dtype=torch.long)
            out = model(pixel_values=pixels, input_ids=ids, image_flags=flags, output_hidden_states=True, return_dict=True)
            results.append(compare("InternVLChatModel", out, taps, problems))
    print("passed" if all(results) else "FAILED")
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main())
