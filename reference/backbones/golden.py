"""What golden cases of backbones share: weights made from names, images, samples of tensors, case files.

Weights are not stored: value i of the tensor with the name n is a function of (n, i), see `fill`, so that the TypeScript side
(packages/core/src/testing/wide-weights.ts) makes the same checkpoint. The content of a case is described in
packages/core/src/testing/describe-golden-backbone.ts.
"""

import json
import sys
from pathlib import Path

import numpy as np
import PIL
import torch
import transformers
from PIL import Image, ImageDraw
from safetensors.numpy import save_file

SAMPLES = 128
STEPS = 20
QUESTION = "Which object is nearest to the red chair?"
ANSWER = "A. lamp"
# Images of each case, by number of views.
VIEWS = {1: ["wide"], 2: ["wide", "tall"], 5: ["tall", "wide", "tiny", "square", "large"]}
SIZES = {"wide": (151, 97), "tall": (75, 120), "tiny": (20, 16), "square": (84, 84), "large": (200, 144)}
TOLERANCE = {
    "pixels": 1e-5,
    "states": 1e-4,
    "gradients": 1e-3,
    "why": "states and gradients relative to the largest magnitude of the tensor: float32 sums in another order differ by "
    "about 1e-6 per layer; resampling is exact integer arithmetic",
}


def hash32(text: str) -> int:
    """FNV-1a."""
    value = 0x811C9DC5
    for byte in text.encode():
        value = ((value ^ byte) * 0x01000193) & 0xFFFFFFFF
    return value


def fill(name: str, shape) -> np.ndarray:
    """Uniform with standard deviation 0.2, or 1 + uniform with 0.1 for norms; exact in float32 in any language."""
    with np.errstate(over="ignore"):
        x = np.arange(int(np.prod(shape)), dtype=np.uint32) * np.uint32(0x9E3779B9) + np.uint32(hash32(name))
        for shift, factor in ((16, 0x85EBCA6B), (13, 0xC2B2AE35)):
            x = (x ^ (x >> np.uint32(shift))) * np.uint32(factor)
        x = x ^ (x >> np.uint32(16))
    unit = (x >> np.uint32(8)).astype(np.float32) * np.float32(2.0**-23) - np.float32(1)
    is_norm = "norm" in name or "ln_q" in name
    values = np.float32(0.1732) * unit + np.float32(1) if is_norm else np.float32(0.3464) * unit
    return values.reshape(shape)


def fill_model(named_parameters) -> None:
    """@param named_parameters pairs of published name and parameter."""
    with torch.no_grad():
        for name, parameter in named_parameters:
            parameter.copy_(torch.from_numpy(fill(name, parameter.shape)))


def draw(width: int, height: int, seed: int) -> Image.Image:
    """An image with gradients, sharp edges and some noise."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width]
    channels = [(x * 255) // width, (y * 255) // height, ((x + y) * 255) // (width + height)]
    image = Image.fromarray(np.stack(channels, -1).astype(np.uint8))
    pen = ImageDraw.Draw(image)
    for _ in range(6):
        left, top = rng.integers(0, width), rng.integers(0, height)
        box = [int(left), int(top), int(left + width // 4), int(top + height // 3)]
        pen.ellipse(box, fill=tuple(int(v) for v in rng.integers(0, 256, 3)))
    noisy = np.array(image)
    noisy[: height // 5, : width // 5] = rng.integers(0, 256, (height // 5, width // 5, 3))
    return Image.fromarray(noisy)


def save_images(folder: Path) -> dict[str, Image.Image]:
    folder.mkdir(parents=True, exist_ok=True)
    for seed, (name, size) in enumerate(SIZES.items(), 1):
        draw(*size, seed).save(folder / f"{name}.png", optimize=True)
    return {name: Image.open(folder / f"{name}.png").convert("RGB") for name in SIZES}


def cut_patches(pixel_values: torch.Tensor, patch: int) -> np.ndarray:
    """(V, 3, H, W) → (V, P, 3 · patch²), patches row by row; a rest that fills no patch is left out."""
    views, channels, height, width = pixel_values.shape
    rows, columns = height // patch, width // patch
    whole = pixel_values[:, :, : rows * patch, : columns * patch]
    cells = whole.reshape(views, channels, rows, patch, columns, patch).permute(0, 2, 4, 1, 3, 5)
    return cells.reshape(views, rows * columns, -1).numpy()


def sample(values: np.ndarray) -> np.ndarray:
    """All values of a small array, evenly spread ones of a large array."""
    flat = values.reshape(-1)
    if flat.size <= 2 * SAMPLES:
        return flat
    return flat[(np.arange(SAMPLES) * flat.size) // SAMPLES]


def sampled(vectors: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """What a case stores of its tensors: samples, and the norm of those that are not stored whole."""
    stored = {}
    for name, values in vectors.items():
        is_whole = values.dtype == np.int32 or values.size <= 2 * SAMPLES
        stored[name] = values.reshape(-1) if is_whole else sample(values)
        if not is_whole:
            stored[f"norm.{name}"] = np.array([np.linalg.norm(values.astype(np.float64))], np.float32)
    return stored


def text_loss(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Mean cross-entropy of (T, K) logits over labels ≠ −100, each predicted by the token before it."""
    return torch.nn.functional.cross_entropy(logits[:-1], labels[1:], ignore_index=-100)


def gradient_vectors(named_parameters, is_checked) -> dict[str, np.ndarray]:
    return {
        f"gradient.{name}": parameter.grad.numpy()
        for name, parameter in named_parameters
        if is_checked(name) and parameter.grad is not None
    }


def provenance(script: str, source: str) -> dict:
    return {
        "script": script,
        "source": source,
        "versions": {
            "python": sys.version.split()[0],
            "torch": torch.__version__,
            "transformers": transformers.__version__,
            "numpy": np.__version__,
            "pillow": PIL.__version__,
        },
        "dtype": "float32",
        "attention": "eager",
        "question": QUESTION,
        "answer": ANSWER,
        "samples": SAMPLES,
        "tolerance": TOLERANCE,
    }


def write_case(folder: Path, case: dict, vectors: dict[str, np.ndarray]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "case.json").write_text(json.dumps(case, indent=2, ensure_ascii=False) + "\n")
    save_file({key: np.ascontiguousarray(value) for key, value in vectors.items()}, folder / "vectors.safetensors")
