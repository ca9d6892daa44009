"""Peer of `npm run bench -- labels` and `-- gpu`: a published geometry model in PyTorch eager mode, with all cores on the CPU, or on a
GPU; in 16 bits under autocast, as its own examples run it.

usage: python bench_vfm.py '{"family":"dav3","variant":"da3-large","reference":"CLONE","weights":"FOLDER","images":"views.f32",
                             "shape":[4,378,504,3],"depth":"depth.f32","device":"cpu","precision":"float32"}'

`reference` is a clone of the model's own repository, from which the official code is imported; `weights` holds model.safetensors and
config.json; `images` is raw float32 in (0, 1). The variant `small` is the tiny model of the same structure. Loads once, prints one JSON
line, then runs the network once for every line on stdin and prints milliseconds and memory (MiB) of that run. The depth of the last run
is written to `depth`.
"""

import json
import sys
import time
from pathlib import Path

import bench_peer  # Ends this process with the bench.

import numpy as np
import torch
from safetensors.torch import load_file

from bench_gpu import follow_tf32, narrowed, peak_mb

REFERENCE = Path(__file__).resolve().parent
MEAN = torch.tensor([0.485, 0.456, 0.406])
STD = torch.tensor([0.229, 0.224, 0.225])


def load_vggt(settings):
    sys.path += [settings["reference"], str(REFERENCE / "vggt")]
    from vggt.models.vggt import VGGT

    if settings["variant"] == "small":
        from reference_model import Vggt

        model = Vggt(json.loads((Path(settings["weights"]) / "config.json").read_text())).eval()
        model.track_head = None
    else:
        model = VGGT(enable_track=False).eval()
    missing, unexpected = model.load_state_dict(tensors_of(settings), strict=False, assign=True)
    assert not missing and all(name.startswith("track_head.") for name in unexpected), (missing, unexpected)
    # Buffers that its constructor makes with torch.FloatTensor are on the CPU.
    model.to(settings["device"])
    # The forward pass is the official one in either case.
    return lambda images: VGGT.forward(model, images.permute(0, 3, 1, 2)[None])["depth"].reshape(images.shape[:3])


def load_dav3(settings):
    sys.path += [settings["reference"], str(Path(settings["reference"]) / "src"), str(REFERENCE / "dav3")]
    if settings["variant"] == "small":
        from tiny_models import DUAL, network

        model = network(DUAL).eval()
    else:
        from depth_anything_3.cfg import create_object, load_config
        from depth_anything_3.registry import MODEL_REGISTRY

        model = create_object(load_config(MODEL_REGISTRY[settings["variant"]])).eval()
    weights = {name.removeprefix("model."): value for name, value in tensors_of(settings).items()}
    missing, unexpected = model.load_state_dict(weights, strict=False, assign=True)
    # The ray levels share one LayerNorm, which a safetensors file holds once; the dead levels keep their own copy.
    assert not unexpected and all(".output_conv2_aux." in name or name.startswith("gs_") for name in missing), (
        missing,
        unexpected,
    )
    mean, std = (values.to(settings["device"]) for values in (MEAN, STD))
    return lambda images: model(((images - mean) / std).permute(0, 3, 1, 2)[None])["depth"].reshape(images.shape[:3])


def tensors_of(settings):
    return load_file(Path(settings["weights"]) / "model.safetensors", settings["device"])


def memory():
    """Peak of all resident memory since the last reset, and current memory that no file backs."""
    with open("/proc/self/status") as file:
        status = dict(line.split(":", 1) for line in file)
    return {name: int(status[key].split()[0]) / 1024 for name, key in [("peak_rss_mb", "VmHWM"), ("anonymous_mb", "RssAnon")]}


def reset_peak(device):
    with open("/proc/self/clear_refs", "w") as file:
        file.write("5")
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)


def main():
    settings = json.loads(sys.argv[1])
    # The official code may log to stdout, which is ours to answer on.
    answers, sys.stdout = sys.stdout, sys.stderr
    device = torch.device(settings["device"])
    follow_tf32()

    def answer(values):
        print(json.dumps(values), file=answers, flush=True)

    def wait():
        if device.type == "cuda":
            torch.cuda.synchronize(device)

    started = time.perf_counter()
    with device:
        run = {"vggt": load_vggt, "dav3": load_dav3}[settings["family"]](settings)
    images = torch.from_numpy(np.fromfile(settings["images"], np.float32).reshape(settings["shape"])).to(device)
    wait()
    answer({"load_s": time.perf_counter() - started, "torch": torch.__version__, "threads": torch.get_num_threads()})
    for _ in bench_peer.asked:
        reset_peak(device)
        started = time.perf_counter()
        with torch.inference_mode(), narrowed(device, settings["precision"]):
            depth = run(images)
            wait()
        figures = {"ms": 1000 * (time.perf_counter() - started), **memory(), "peak_mb": peak_mb(device)}
        depth.float().cpu().numpy().tofile(settings["depth"])
        # Whoever has the answer may read the depth, and end this process.
        answer(figures)


if __name__ == "__main__":
    main()
