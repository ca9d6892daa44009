"""What checks of saved folders share: `spatialsv taps` writes the states that are compared."""

import argparse

import numpy as np
from PIL import Image, ImageOps
from safetensors.numpy import load_file

TOLERANCE = 1e-4


def arguments(doc: str):
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder")
    parser.add_argument("taps")
    parser.add_argument("--images", nargs="+", required=True)
    options = parser.parse_args()
    options.taps = load_file(options.taps)
    options.images = [ImageOps.exif_transpose(Image.open(path)).convert("RGB") for path in options.images]
    return options


def report(taps: dict, hidden_states, logits, problems) -> int:
    """Prints the largest difference of every state, relative to its largest magnitude. @return exit code."""
    expected = {"logits": logits.numpy()}
    expected |= {f"hidden.{i}": state[0].numpy() for i, state in enumerate(hidden_states)}
    errors = {
        name: float(np.abs(taps[name] - value).max() / np.abs(value).max())
        for name, value in expected.items()
        if name in taps
    }
    for name, error in errors.items():
        print(f"{name}: largest difference {error:.2e} of the largest magnitude")
    print(f"loading: {problems or 'no missing, no unexpected tensors'}")
    is_equal = bool(errors) and max(errors.values()) <= TOLERANCE
    print("passed" if is_equal and not problems else "FAILED")
    return 0 if is_equal and not problems else 1
