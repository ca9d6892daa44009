"""Golden vectors of packages/vfm-dav3, from the official Depth Anything 3 code in float64.

Run: python reference/dav3/make_golden.py --reference DIR --out packages/vfm-dav3/src/__golden__
DIR is a clone of ByteDance-Seed/Depth-Anything-3 at revision 2c21ea8.
"""
import argparse
import json
import platform
import sys
from pathlib import Path

import numpy as np
import torch
from safetensors.numpy import save_file

sys.path.insert(0, str(Path(__file__).parent))
import tiny_models as tiny  # noqa: E402

REVISION = "ByteDance-Seed/Depth-Anything-3@2c21ea8"
SAMPLES = 96
WHY = "float64 reference against float32 sums in another order; relative to the value or to the map's root mean square"
# A field of view that is not cut off at 0, so that focal lengths are ordinary numbers.
FOV = {"cam_dec.fc_fov.0.bias": 0.9}
# Class tokens with positive similarities, as those of a trained network.
ALIKE = {"backbone.pretrained.cls_token": 1.0}
TURN = 0.2
E1 = [[np.cos(TURN), 0, np.sin(TURN), -0.3], [0, 1, 0, 0.05], [-np.sin(TURN), 0, np.cos(TURN), 0.1], [0, 0, 0, 1]]
E2 = [[1, 0, 0, 0.2], [0, np.cos(0.3), -np.sin(0.3), -0.1], [0, np.sin(0.3), np.cos(0.3), 0.25], [0, 0, 0, 1]]
K = [[50, 0, 28], [0, 48, 21], [0, 0, 1]]

CASES = {
    "first": dict(config=tiny.DUAL, views=3, size=[42, 56], strategy="first"),
    "balanced": dict(config=tiny.DUAL, views=3, size=[42, 56], strategy="saddle_balanced"),
    "middle": dict(config=tiny.DUAL, views=3, size=[42, 56], strategy="middle"),
    "cameras": dict(config=tiny.DUAL, views=2, size=[42, 56], extrinsics=[np.eye(4).tolist(), E1], intrinsics=[K, K]),
    "swiglu": dict(config=tiny.SWIGLU, views=2, size=[42, 56], strategy="first"),
    "mono": dict(config=tiny.MONO, views=1, size=[42, 56]),
    # beyond the first ones: tall, wide and square grids, one view, five views, all at once
    "tall-single": dict(config=tiny.DUAL, views=1, size=[70, 42], shifts=FOV),
    "square-pair": dict(config=tiny.DUAL, views=2, size=[56, 56], shifts=FOV),
    "wide-five": dict(config=tiny.SWIGLU, views=5, size=[56, 98], strategy="saddle_balanced", shifts=FOV),
    "tall-range": dict(config=tiny.DUAL | dict(start=4, taps=[1, 4, 5, 7]), views=4, size=[70, 42],
                       strategy="saddle_sim_range", shifts=FOV | ALIKE),
    "three-cameras": dict(config=tiny.SWIGLU, views=3, size=[70, 56], intrinsics=[K, K, K],
                          extrinsics=[np.eye(4).tolist(), E1, E2], shifts=FOV),
    "mono-sky": dict(config=tiny.MONO, views=2, size=[56, 98], shifts={"head.scratch.sky_output_conv2.2.bias": 0.1}),
    # wide enough maps and layers for those before the rays to be joined
    "wide-layers": dict(config=tiny.DUAL | dict(features=128), views=1, size=[182, 238], shifts=FOV),
    "nested": dict(config=dict(anyview=tiny.SWIGLU, metric=tiny.MONO), views=3, size=[56, 70], strategy="first",
                   shifts={f"da3.{k}": v for k, v in FOV.items()} | {"da3_metric.head.scratch.sky_output_conv2.2.bias": 0.1}),
}


def record(module, kept, name):
    """Keeps what a module returns; copies, because later steps scale it in place."""
    def hook(_, __, output):
        kept[name] = {k: v.clone() for k, v in output.items()} if isinstance(output, dict) else output

    module.register_forward_hook(hook)


def run(case):
    config, views = case["config"], case["views"]
    net = tiny.nested(**config) if "anyview" in config else tiny.network(config)
    net = tiny.filled(net, case.get("shifts", {}))
    main = net.da3 if "anyview" in config else net
    kept = {}
    record(main.backbone, kept, "backbone")
    record(main.head, kept, "head")
    if main.cam_dec is not None:
        record(main.cam_dec, kept, "pose")
        record(main.cam_enc, kept, "cameraTokens")
    given = {k: torch.tensor(case[k], dtype=torch.float64)[None] for k in ("extrinsics", "intrinsics") if k in case}
    with torch.no_grad():
        output = net(tiny.images(views, *case["size"]), ref_view_strategy=case.get("strategy", "saddle_balanced"), **given)
    case["parameters"] = sum(p.numel() for p in net.parameters())
    case["tensors"] = sum(1 for _ in net.named_parameters())
    case["stateKeys"] = len(net.state_dict())
    case["scale"] = output.get("scale_factor", None)
    return collect(kept, output)


def collect(kept, output):
    features = kept["backbone"][0]
    result = {f"tap.{i}": tap for i, (tap, _) in enumerate(features)}
    result["specialTokens"] = features[-1][1]
    head = kept["head"]
    names = {"depth": "head.depth", "sky": "sky", "depth_conf": "head.depthConfidence", "ray": "rays",
             "ray_conf": "rayConfidence"}
    result |= {new: head[old] for old, new in names.items() if old in head}
    result |= {name: kept[name] for name in ("pose", "cameraTokens") if name in kept}
    finals = {"depth": "depth", "depth_conf": "depthConfidence", "extrinsics": "extrinsics", "intrinsics": "intrinsics"}
    return result | {new: output[old] for old, new in finals.items() if old in output}


def sampled(values):
    """Values at evenly spaced flat places, then mean and root mean square of all, and the shape apart."""
    flat = values.detach().double().numpy()[0].ravel()
    places = np.arange(min(SAMPLES, flat.size)) * flat.size // min(SAMPLES, flat.size)
    return np.concatenate([flat[places], [flat.mean(), np.sqrt((flat**2).mean())]]).astype(np.float32)


def write(folder, case, vectors):
    folder.mkdir(parents=True, exist_ok=True)
    case = case | {"shapes": {name: list(v.shape[1:]) for name, v in vectors.items()}}
    info = {"script": "reference/dav3/make_golden.py", "reference": REVISION, **case,
            "seed": "tensors are filled from their names",
            "versions": {"torch": torch.__version__, "numpy": np.__version__, "python": platform.python_version()},
            "tolerance": {"relative": 2e-5, "floor": "root mean square of the map", "why": WHY}}
    (folder / "case.json").write_text(json.dumps(info) + "\n")
    save_file({name: sampled(v) for name, v in vectors.items()}, folder / "vectors.safetensors")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--reference", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--print", action="store_true", help="show values instead of writing them")
    options = parser.parse_args()
    tiny.install(options.reference)
    for name, case in CASES.items():
        vectors = run(case)
        if options.print:
            print(name, {k: (tuple(v.shape), v.detach().numpy().ravel()[:4]) for k, v in vectors.items()}, case["scale"])
        else:
            write(options.out / name, case, vectors)
