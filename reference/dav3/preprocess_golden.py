"""What the official input processor makes of 8-bit images of many sizes: sizes, samples and hashes of the results.

Run: python reference/dav3/preprocess_golden.py --reference DIR --out packages/vfm-dav3/src/__golden__
Images are noise from their names on a slope, so that neither side stores them.
"""
import argparse
import hashlib
import json
import sys
from pathlib import Path

import cv2
import numpy as np
from PIL import Image
from safetensors.numpy import save_file

sys.path.insert(0, str(Path(__file__).parent))
import tiny_models as tiny  # noqa: E402
from fill import uniform  # noqa: E402
from make_golden import REVISION  # noqa: E402

SAMPLES = 48
# method, resolution, sizes (width, height) of the views of one batch
CASES = [
    ("upper_bound_resize", 504, [(640, 480)]),
    ("upper_bound_resize", 504, [(1024, 682)]),
    ("upper_bound_resize", 504, [(504, 284)]),
    ("upper_bound_resize", 280, [(120, 160)]),
    ("upper_bound_resize", 98, [(300, 300)]),
    ("upper_bound_resize", 112, [(224, 168), (168, 224), (320, 200)]),
    ("upper_bound_crop", 112, [(227, 151)]),
    ("upper_bound_crop", 504, [(400, 301)]),
    ("lower_bound_resize", 112, [(200, 150)]),
    ("lower_bound_resize", 112, [(90, 61)]),
    ("lower_bound_crop", 98, [(250, 131), (131, 250)]),
    ("upper_bound_resize", 100, [(333, 250)]),
]


def image(name, width, height):
    """(height, width, 3) 8-bit: half a slope, half noise."""
    noise = uniform(name, width * height * 3).reshape(height, width, 3)
    y, x, c = np.ogrid[0:height, 0:width, 0:3]
    slope = (2 * x + 3 * y + 40 * c) % 256
    return ((slope + np.floor(128 * (noise + 1))) // 2).astype(np.uint8)


def exact_resize(image, size, interpolation):
    """OpenCV's cubic resize with the sums of float64 instead of float32."""
    if interpolation != cv2.INTER_CUBIC:
        return cv_resize(image, size, interpolation=interpolation)

    def axis(array, length):
        count = array.shape[0]
        source = (np.arange(length) + 0.5) * (count / length) - 0.5
        first = np.floor(source).astype(int)
        t = (source - first).reshape(-1, *[1] * (array.ndim - 1))
        a = -0.75
        near = lambda x: ((a + 2) * x - (a + 3)) * x * x + 1
        before = ((a * (t + 1) - 5 * a) * (t + 1) + 8 * a) * (t + 1) - 4 * a
        weights = [before, near(t), near(1 - t)]
        weights.append(1 - weights[0] - weights[1] - weights[2])
        return sum(w * array[np.clip(first - 1 + k, 0, count - 1)] for k, w in enumerate(weights))

    columns = axis(image.astype(np.float64).transpose(1, 0, 2), size[0]).transpose(1, 0, 2)
    return np.clip(np.rint(axis(columns, size[1])), 0, 255).astype(np.uint8)


def run(index, method, resolution, sizes):
    from depth_anything_3.utils.io.input_processor import InputProcessor
    processor = InputProcessor()
    arrays = [image(f"image.{index}.{i}", w, h) for i, (w, h) in enumerate(sizes)]
    kept = []
    normalise = processor._normalize_image
    processor._normalize_image = lambda image: (kept.append(np.asarray(image)), normalise(image))[1]
    intrinsics = [np.array([[0.9 * w, 0, 0.52 * w], [0, 0.8 * w, 0.47 * h], [0, 0, 1]]) for w, h in sizes]
    pixels, _, cameras = processor([Image.fromarray(a) for a in arrays], intrinsics=np.array(intrinsics),
                                   process_res=resolution, process_res_method=method, sequential=True)
    return kept, pixels.permute(0, 2, 3, 1).contiguous().numpy(), cameras.numpy()


parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--reference", type=Path, required=True)
parser.add_argument("--out", type=Path, required=True)
options = parser.parse_args()
tiny.install(options.reference)
cv_resize = cv2.resize
cases, vectors = [], {}
for index, (method, resolution, sizes) in enumerate(CASES):
    resized, pixels, cameras = run(index, method, resolution, sizes)
    cv2.resize = exact_resize
    exact, _, _ = run(index, method, resolution, sizes)
    cv2.resize = cv_resize
    ties = [[[int(i), int(a.ravel()[i])] for i in np.flatnonzero(a != e)] for a, e in zip(resized, exact)]
    flat = pixels.ravel()
    places = np.arange(SAMPLES) * flat.size // SAMPLES
    vectors |= {f"{index}.pixels": flat[places], f"{index}.intrinsics": cameras.astype(np.float32)}
    cases.append({
        "method": method, "resolution": resolution, "sizes": sizes, "shape": list(pixels.shape),
        "resized": [[a.shape[1], a.shape[0]] for a in resized],
        "sha256": [hashlib.sha256(a.tobytes()).hexdigest() for a in resized],
        "ties": ties, "mean": float(pixels.mean(dtype=np.float64)),
    })
    print(method, resolution, sizes, pixels.shape, [len(t) for t in ties])
folder = options.out / "preprocess"
folder.mkdir(parents=True, exist_ok=True)
info = {"script": "reference/dav3/preprocess_golden.py", "reference": REVISION,
        "versions": {"opencv": cv2.__version__, "numpy": np.__version__, "ipp": bool(cv2.ipp.useIPP())},
        "seed": "images are made from their names", "cases": cases,
        "tolerance": "hashes of all bytes, after the few values that lie on a tie of float32 sums (`ties`: place, value) are set"}
(folder / "case.json").write_text(json.dumps(info) + "\n")
save_file(vectors, folder / "vectors.safetensors")
