"""Checks a folder that we saved, and the states that we computed from it, against transformers.

usage: python reference/qwen25vl/check_saved.py FOLDER TAPS.safetensors [--images A B ...]

TAPS holds `input_ids` (T), `logits` (T, K) and any number of `hidden.<l>` (T, C), as `spatialsv taps` writes them for
the same images. Passes when transformers loads the folder with no missing and no unexpected tensor and every state
agrees within 1e-4 of its largest magnitude (float32, eager attention).
"""

import argparse
import sys

import numpy as np
import torch
from PIL import Image, ImageOps
from safetensors.numpy import load_file
from transformers import Qwen2_5_VLForConditionalGeneration
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

TOLERANCE = 1e-4


def load(folder: str):
    model, report = Qwen2_5_VLForConditionalGeneration.from_pretrained(
        folder, dtype=torch.float32, attn_implementation="eager", output_loading_info=True
    )
    problems = {key: sorted(value) for key, value in report.items() if value}
    return model.eval(), problems


def make_inputs(folder: str, config, ids: np.ndarray, images: list[str]) -> dict:
    input_ids = torch.from_numpy(ids.astype(np.int64))[None]
    inputs = {"input_ids": input_ids, "mm_token_type_ids": (input_ids == config.image_token_id).int()}
    if images:
        decoded = [ImageOps.exif_transpose(Image.open(path)).convert("RGB") for path in images]
        inputs |= Qwen2VLImageProcessorPil.from_pretrained(folder)(images=decoded, return_tensors="pt")
    return inputs


def relative_error(found: np.ndarray, expected: np.ndarray) -> float:
    return float(np.abs(found - expected).max() / np.abs(expected).max())


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder")
    parser.add_argument("taps")
    parser.add_argument("--images", nargs="*", default=[])
    options = parser.parse_args()
    model, problems = load(options.folder)
    taps = load_file(options.taps)
    with torch.no_grad():
        inputs = make_inputs(options.folder, model.config, taps["input_ids"], options.images)
        out = model(**inputs, output_hidden_states=True)
    expected = {"logits": out.logits[0].numpy()}
    expected |= {f"hidden.{i}": state[0].numpy() for i, state in enumerate(out.hidden_states)}
    errors = {name: relative_error(taps[name], value) for name, value in expected.items() if name in taps}
    for name, error in errors.items():
        print(f"{name}: largest difference {error:.2e} of the largest magnitude")
    print(f"loading: {problems or 'no missing, no unexpected tensors'}")
    is_equal = bool(errors) and max(errors.values()) <= TOLERANCE
    print("passed" if is_equal and not problems else "FAILED")
    return 0 if is_equal and not problems else 1


if __name__ == "__main__":
    sys.exit(main())
