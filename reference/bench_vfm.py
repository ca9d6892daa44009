"""Peer of `npm run bench -- labels` and `-- gpu`: a published geometry model in PyTorch eager mode, float32 on the CPU with all
of its cores, on a GPU under autocast in bfloat16, as its own examples run it.

usage: python bench_vfm.py '{"family":"dav3","variant":"da3-large","reference":"CLONE/src","weights":"model.safetensors",
                             "images":"views.f32","shape":[4,378,504,3],"depth":"depth.f32","device":"cpu"}'

`reference` is a clone of the model's own repository, from which the official code is imported; `images` is raw float32 in (0, 1).
Loads once, prints one JSON line, then runs the network once for every line on stdin and prints milliseconds and memory (MiB) of
that run. The depth of the last run is written to `depth`.
"""

import json
import sys
import time

import numpy as np
import torch
from safetensors.torch import load_file

MEAN = torch.tensor([0.485, 0.456, 0.406])
STD = torch.tensor([0.229, 0.224, 0.225])


def load_vggt(settings):
    from vggt.models.vggt import VGGT

    model = VGGT(enable_track=False).eval()
    missing, unexpected = model.load_state_dict(load_file(settings["weights"], settings["device"]), strict=False, assign=True)
    assert not missing and all(name.startswith("track_head.") for name in unexpected), (missing, unexpected)
    return lambda images: model(images.permute(0, 3, 1, 2)[None])["depth"].reshape(images.shape[:3])


def load_dav3(settings):
    from depth_anything_3.cfg import create_object, load_config
    from depth_anything_3.registry import MODEL_REGISTRY

    model = create_object(load_config(MODEL_REGISTRY[settings["variant"]])).eval()
    weights = {name.removeprefix("model."): value for name, value in load_file(settings["weights"], settings["device"]).items()}
    missing, unexpected = model.load_state_dict(weights, strict=False, assign=True)
    # The ray levels share one LayerNorm, which a safetensors file holds once; the dead levels keep their own copy.
    assert not unexpected and all(".output_conv2_aux." in name or name.startswith("gs_") for name in missing), (
        missing,
        unexpected,
    )
    return lambda images: model(((images - MEAN.to(images.device)) / STD.to(images.device)).permute(0, 3, 1, 2)[None])["depth"].reshape(images.shape[:3])


def memory():
    """Peak of all resident memory since the last reset, and current memory that no file backs."""
    with open("/proc/self/status") as file:
        status = dict(line.split(":", 1) for line in file)
    return {name: int(status[key].split()[0]) / 1024 for name, key in [("peak_rss_mb", "VmHWM"), ("anonymous_mb", "RssAnon")]}


def reset_peak():
    with open("/proc/self/clear_refs", "w") as file:
        file.write("5")


# The official code may log to stdout, which is ours to answer on.
ANSWERS, sys.stdout = sys.stdout, sys.stderr


def answer(values):
    print(json.dumps(values), file=ANSWERS, flush=True)


def main():
    settings = json.loads(sys.argv[1])
    sys.path.insert(0, settings["reference"])
    started = time.perf_counter()
    with torch.device(settings["device"]):
        run = {"vggt": load_vggt, "dav3": load_dav3}[settings["family"]](settings)
    device = torch.device(settings.get("device", "cpu"))
    wait = (lambda: torch.cuda.synchronize(device)) if device.type == "cuda" else (lambda: None)
    images = torch.from_numpy(np.fromfile(settings["images"], np.float32).reshape(settings["shape"])).to(device)
    answer({"load_s": time.perf_counter() - started, "torch": torch.__version__, "threads": torch.get_num_threads()})
    for _ in sys.stdin:
        reset_peak()
        started = time.perf_counter()
        with torch.inference_mode(), torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda"):
            depth = run(images)
            wait()
        answer({"ms": 1000 * (time.perf_counter() - started), **memory()})
        depth.cpu().numpy().astype(np.float32).tofile(settings["depth"])


main()
