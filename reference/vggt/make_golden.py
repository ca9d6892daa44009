"""Golden vectors of packages/vfm-vggt: networks in float64 on weights made from names, image preparation, tensor names.

Run: python reference/vggt/make_golden.py --reference CLONE_OF_VGGT --out packages/vfm-vggt/src/__golden__
"""
import argparse
import hashlib
import inspect
import json
import platform
import tempfile
import warnings
from pathlib import Path

import numpy as np
import PIL
import torch
from PIL import Image
from safetensors.torch import save_file

import reference_model as reference

SAMPLES = 160
STEP = 7919
REPOSITORY = "github.com/facebookresearch/vggt"
WHY = ("float64 reference against float32: this share of the value, or of the root mean square of its tensor where the value is "
       "smaller, because the rounding of a sum grows with its terms and not with a result that cancels. Depth and "
       "confidences are exponentials, far from zero, and have no such floor. float32Deviation is what PyTorch itself "
       "deviates by in float32 under the same measure.")

TINY = dict(img_size=56, patch_size=14, embed_dim=32, encoder_depth=2, encoder_heads=2, depth=4, num_heads=2,
            num_register_tokens=4, camera_depth=2, camera_heads=4, dpt_features=16, dpt_out_channels=[8, 16, 24, 24],
            dpt_layers=[0, 1, 2, 3])

CASES = {
    # three views, both axes of the position table shrink
    "three-views": dict(config=TINY, views=3, size=[42, 56]),
    # one view at the size of the position table, which is not resampled; layers skipped between taps
    "one-view": dict(config=TINY | dict(embed_dim=48, encoder_depth=1, encoder_heads=6, depth=5, num_heads=3,
                                        camera_depth=1, camera_heads=3, dpt_features=8,
                                        dpt_out_channels=[4, 8, 12, 16], dpt_layers=[0, 2, 3, 4]),
                     views=1, size=[56, 56]),
    # portrait with an odd grid; the last layer is not a tap
    "portrait": dict(config=TINY | dict(img_size=84, encoder_depth=3, depth=6, num_heads=4, camera_depth=3, camera_heads=2,
                                        dpt_out_channels=[8, 8, 16, 16], dpt_layers=[1, 2, 3, 4]),
                     views=2, size=[70, 42]),
    # five views, an axis of the table grows, head width 12, two register tokens, stages that get narrower
    "five-views": dict(config=TINY | dict(img_size=70, embed_dim=24, encoder_heads=3, num_register_tokens=2, camera_heads=6,
                                          dpt_features=24, dpt_out_channels=[12, 20, 8, 16]),
                       views=5, size=[56, 98]),
    # as many patches as the table has, in another shape
    "same-count": dict(config=TINY | dict(dpt_layers=[0, 0, 1, 3]), views=2, size=[28, 112]),
    # a single row of patches
    "one-row": dict(config=TINY | dict(img_size=112), views=1, size=[14, 84]),
}

WIDTHS_AND_HEIGHTS = [
    dict(mode="crop", sizes=[[640, 480]]), dict(mode="pad", sizes=[[640, 480]]),
    dict(mode="crop", sizes=[[1080, 1920]]), dict(mode="pad", sizes=[[301, 777]]),
    dict(mode="crop", sizes=[[37, 23]]), dict(mode="crop", sizes=[[640, 480], [480, 640], [1024, 682]]),
    dict(mode="crop", sizes=[[74, 5]]), dict(mode="crop", sizes=[[74, 7]]), dict(mode="pad", sizes=[[5, 74]]),
    dict(mode="crop", sizes=[[518, 518]]),
    dict(mode="crop", resolution=140, sizes=[[90, 61], [61, 90]]),
    dict(mode="pad", resolution=126, sizes=[[90, 61], [61, 90], [50, 50]]),
]


def samples(tensor):
    flat = tensor.flatten()
    if flat.numel() <= 2 * SAMPLES:
        return flat
    return flat[torch.arange(SAMPLES) * STEP % flat.numel()]


def rms(tensor):
    return float(tensor.pow(2).mean().sqrt())


def deviation(name, value, expected):
    floor = 0 if name.startswith("depth") or name == "pointConfidence" else rms(expected)
    finite = expected.isfinite()
    error = (value.double() - expected).abs() / expected.abs().clamp(min=floor or 1e-30)
    return error[finite].max().item()


def network_case(folder, case):
    model, images = reference.filled(case["config"]), reference.images(case["views"], *case["size"])
    with torch.no_grad():
        named = model(images)
        single = model.float()(images.float())
    named = {name: value.detach() for name, value in named.items()}
    tensors = {name: {"shape": list(value.shape), "mean": float(value.mean()), "rms": rms(value)}
               for name, value in named.items() if name != "intrinsics"}
    tensors["intrinsics"] = {"shape": list(named["intrinsics"].shape)}
    info = provenance() | {
        **case, "dtype": "float64", "weights": "made from their names: reference/heads/fill.py, .gamma 0.6 + 0.2 u",
        "samples": f"element ({STEP} k) mod n for k < {SAMPLES}; all elements where n <= {2 * SAMPLES}",
        "tolerance": {"relative": 2e-5, "why": WHY}, "tensors": tensors,
        "parameters": {"tensors": len(model.state_dict()), "values": sum(v.numel() for v in model.state_dict().values())},
        "float32Deviation": {name: deviation(name, single[name], value) for name, value in named.items()}}
    vectors = {name: samples(value).float().contiguous() for name, value in named.items()}
    # Cameras are decoded from it, and the tangent of a wide field of view magnifies its rounding.
    vectors["pose.3"] = named["pose.3"].contiguous()
    write(folder, info, vectors)


def provenance():
    versions = {"torch": torch.__version__, "numpy": np.__version__, "pillow": PIL.__version__,
                "python": platform.python_version()}
    return {"script": "reference/vggt/make_golden.py", "reference": REPOSITORY, "revision": REVISION, "versions": versions}


def write(folder, info, vectors=None):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "case.json").write_text(json.dumps(info) + "\n")
    if vectors:
        save_file(vectors, folder / "vectors.safetensors")


def image(width, height, view):
    y, x, c = np.meshgrid(range(height), range(width), range(3), indexing="ij")
    return ((23 * x + 31 * y + 57 * c + 11 * (x * y % 5) + 7 * view) % 256).astype(np.uint8)


def prepared(paths, mode, resolution):
    """Bytes (V, H, W, 3) that the official loader makes; its size is a constant in its body."""
    from vggt.utils import load_fn
    scope = dict(vars(load_fn))
    exec(inspect.getsource(load_fn.load_and_preprocess_images).replace("518", str(resolution)), scope)
    images = scope["load_and_preprocess_images"]([str(path) for path in paths], mode=mode)
    return (images * 255).round().to(torch.uint8).permute(0, 2, 3, 1).contiguous().numpy()


def described(array):
    return {"shape": list(array.shape), "sha256": hashlib.sha256(array.tobytes()).hexdigest(), "mean": float(array.mean())}


def preparation_case(folder):
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(5)
    rgba = np.dstack([image(31, 22, 0), rng.integers(0, 256, (22, 31), np.uint8)])
    rgba[:2, :, 3] = 0
    rgba[2:4, :, 3] = 255
    Image.fromarray(rgba).save(folder / "rgba.png", optimize=True)
    with tempfile.TemporaryDirectory() as temporary:
        for case in WIDTHS_AND_HEIGHTS:
            paths = [Path(temporary) / f"{view}.png" for view in range(len(case["sizes"]))]
            for view, (path, (width, height)) in enumerate(zip(paths, case["sizes"])):
                Image.fromarray(image(width, height, view)).save(path)
            case["prepared"] = described(prepared(paths, case["mode"], case.get("resolution", 518)))
    transparent = described(prepared([folder / "rgba.png"], "crop", 140))
    write(folder, provenance() | {
        "picture": "(23 x + 31 y + 57 c + 11 ((x y) mod 5) + 7 view) mod 256", "tolerance": {"bytes": 0, "why": "exact"},
        "cases": WIDTHS_AND_HEIGHTS, "transparent": {"file": "rgba.png", "mode": "crop", "resolution": 140, **transparent}})


def names_case(folder):
    """The released model's tensors: a hash of the sorted lines `name d0,d1,…`, so that the list need not be stored."""
    from vggt.models.vggt import VGGT
    linspace = torch.linspace
    torch.linspace = lambda *args, **options: linspace(*args, **options | {"device": "cpu"})
    with torch.device("meta"):
        state = VGGT().state_dict()
    torch.linspace = linspace
    groups = {}
    for name, value in state.items():
        group = groups.setdefault(name.split(".")[0], {"tensors": 0, "values": 0})
        group["tensors"] += 1
        group["values"] += value.numel()
    lines = sorted(f"{name} {','.join(map(str, value.shape))}" for name, value in state.items()
                   if not name.startswith("track_head."))
    write(folder, provenance() | {
        "tensors": len(state), "values": sum(value.numel() for value in state.values()), "groups": groups,
        "sha256WithoutTrackHead": hashlib.sha256("\n".join(lines).encode()).hexdigest()})


parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--reference", type=Path, required=True, help="clone of the official repository")
parser.add_argument("--revision", default="unknown", help="commit of the clone")
parser.add_argument("--out", type=Path, required=True)
arguments = parser.parse_args()
REVISION = arguments.revision
warnings.filterwarnings("ignore", module="torch.cuda.amp")
warnings.filterwarnings("ignore", category=FutureWarning)
reference.import_reference(arguments.reference)
for name, case in CASES.items():
    network_case(arguments.out / name, case)
preparation_case(arguments.out / "preparation")
names_case(arguments.out / "released")
