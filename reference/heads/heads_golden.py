"""Golden vectors of packages/core/src/heads: projectors, DPT heads and the distillation projector in torch.nn, float64.

Written from the description of VGGT's DPT head (arXiv:2503.11651), with NCHW modules, ConvTranspose2d and
F.interpolate, so that it shares no formulation with the TypeScript code. Run: python reference/heads/heads_golden.py
"""
import json
import platform
import sys
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import nn

sys.path.insert(0, str(Path(__file__).parent))
from fill import fill  # noqa: E402

FOLDER = Path(__file__).parents[2] / "packages/core/src/heads/__golden__"
OUTPUTS = {"depth": 2, "ray": 7, "point": 4}
WHY = "float64 reference against float32 sums over up to 9·C products; gradients add one more order of magnitude"

CASES = {
    # native 8× output, odd non-square grid, two views
    "native": dict(
        config=dict(preset="tiny", projectorChannels=12, stageChannels=[8, 8, 12, 16], features=8, hiddenChannels=6),
        channels=[10, 10, 10, 10], views=2, grid=[3, 2], size=[24, 16],
    ),
    # label size that is not a multiple of the grid, larger than the pyramid; VGGT's skip path; taps of unequal width
    "resized": dict(
        config=dict(preset="tiny", projectorChannels=10, stageChannels=[4, 8, 8, 12], features=16, hiddenChannels=5,
                    residualRelu=True, pointActivation="linear", projectorNorm=False),
        channels=[6, 7, 8, 9], views=1, grid=[1, 2], size=[11, 21],
    ),
    # output smaller than the pyramid, shared projector, no embedding, two tasks
    "reduced": dict(
        config=dict(preset="tiny", projectorChannels=9, stageChannels=[5, 6, 7, 8], features=6, hiddenChannels=4,
                    projectors="shared", positionEmbedding=False, tasks=["depth", "point"], outputScale=4),
        channels=[11, 11, 11, 11], views=2, grid=[5, 3], size=[20, 12],
    ),
}
DEFAULTS = dict(projectors="decoupled", projectorNorm=True, tasks=["depth", "ray", "point"], positionEmbedding=True,
                residualRelu=False, pointActivation="inv_log")


class Projector(nn.Module):
    def __init__(self, inputs, width, norm):
        super().__init__()
        if norm:
            self.norm = nn.LayerNorm(inputs, eps=1e-5)
        self.fc1 = nn.Linear(inputs, width)
        self.fc2 = nn.Linear(width, width)

    def forward(self, x):
        x = self.norm(x) if hasattr(self, "norm") else x
        return self.fc2(F.gelu(self.fc1(x)))


class ResidualConvUnit(nn.Module):
    def __init__(self, features, relu_skip):
        super().__init__()
        self.conv1 = nn.Conv2d(features, features, 3, padding=1)
        self.conv2 = nn.Conv2d(features, features, 3, padding=1)
        self.relu_skip = relu_skip

    def forward(self, x):
        skip = F.relu(x) if self.relu_skip else x
        return skip + self.conv2(F.relu(self.conv1(F.relu(x))))


class FeatureFusion(nn.Module):
    def __init__(self, features, relu_skip, has_skip):
        super().__init__()
        if has_skip:
            self.resConfUnit1 = ResidualConvUnit(features, relu_skip)
        self.resConfUnit2 = ResidualConvUnit(features, relu_skip)
        self.out_conv = nn.Conv2d(features, features, 1)

    def forward(self, x, size, skip=None):
        if skip is not None:
            x = x + self.resConfUnit1(skip)
        x = self.resConfUnit2(x)
        return self.out_conv(F.interpolate(x, size=size, mode="bilinear", align_corners=True))


class Scratch(nn.Module):
    def __init__(self, oc, features, hidden, outputs, relu_skip):
        super().__init__()
        for i, width in enumerate(oc, 1):
            setattr(self, f"layer{i}_rn", nn.Conv2d(width, features, 3, padding=1, bias=False))
            setattr(self, f"refinenet{i}", FeatureFusion(features, relu_skip, i < 4))
        self.output_conv1 = nn.Conv2d(features, features // 2, 3, padding=1)
        self.output_conv2 = nn.Sequential(
            nn.Conv2d(features // 2, hidden, 3, padding=1), nn.ReLU(), nn.Conv2d(hidden, outputs, 1))


def embedding(height, width, channels, aspect):
    """(channels, height, width): sines and cosines of x, then of y."""
    span_x, span_y = aspect / np.sqrt(aspect**2 + 1), 1 / np.sqrt(aspect**2 + 1)
    x = torch.linspace(-span_x * (width - 1) / width, span_x * (width - 1) / width, width, dtype=torch.float64)
    y = torch.linspace(-span_y * (height - 1) / height, span_y * (height - 1) / height, height, dtype=torch.float64)
    omega = 1.0 / 100 ** (torch.arange(channels // 4, dtype=torch.float64) / (channels / 4))
    grid_x, grid_y = torch.meshgrid(x, y, indexing="xy")
    parts = [f(p[None] * omega[:, None, None]) for p in (grid_x, grid_y) for f in (torch.sin, torch.cos)]
    return torch.cat(parts)


class DptHead(nn.Module):
    def __init__(self, config, outputs):
        super().__init__()
        self.config = config
        d, oc, features = config["projectorChannels"], config["stageChannels"], config["features"]
        self.projects = nn.ModuleList([nn.Conv2d(d, width, 1) for width in oc])
        self.resize_layers = nn.ModuleList([
            nn.ConvTranspose2d(oc[0], oc[0], 4, stride=4), nn.ConvTranspose2d(oc[1], oc[1], 2, stride=2),
            nn.Identity(), nn.Conv2d(oc[3], oc[3], 3, stride=2, padding=1)])
        self.scratch = Scratch(oc, features, config["hiddenChannels"], outputs, config["residualRelu"])

    def embed(self, x, aspect):
        if not self.config["positionEmbedding"]:
            return x
        return x + 0.1 * embedding(x.shape[2], x.shape[3], x.shape[1], aspect)

    def forward(self, taps, size):
        aspect = size[1] / size[0]
        s = self.scratch
        levels = []
        for i, tap in enumerate(taps):
            x = self.embed(self.projects[i](tap.permute(0, 3, 1, 2)), aspect)
            levels.append(getattr(s, f"layer{i + 1}_rn")(self.resize_layers[i](x)))
        l1, l2, l3, l4 = levels
        path = s.refinenet4(l4, l3.shape[2:])
        path = s.refinenet3(path, l2.shape[2:], l3)
        path = s.refinenet2(path, l1.shape[2:], l2)
        finest = [min(2 * n, m) for n, m in zip(l1.shape[2:], size)]
        path = s.output_conv1(s.refinenet1(path, finest, l1))
        path = F.interpolate(path, size=size, mode="bilinear", align_corners=True)
        return s.output_conv2(self.embed(path, aspect)).permute(0, 2, 3, 1)


class Heads(nn.Module):
    def __init__(self, config, channels):
        super().__init__()
        self.config = config
        widths = channels[:1] if config["projectors"] == "shared" else channels
        self.projectors = nn.ModuleList(
            [Projector(c, config["projectorChannels"], config["projectorNorm"]) for c in widths])
        for task in config["tasks"]:
            setattr(self, task, DptHead(config, OUTPUTS[task]))

    def forward(self, taps, size):
        lifted = [self.projectors[i % len(self.projectors)](tap) for i, tap in enumerate(taps)]
        result = {}
        for task in self.config["tasks"]:
            raw = getattr(self, task)(lifted, size)
            value, confidence = raw[..., :-1], 1 + raw[..., -1].exp()
            if task == "depth":
                result.update(depth=value[..., 0].exp(), depthConfidence=confidence)
            if task == "ray":
                result.update(rays=value, rayConfidence=confidence)
            if task == "point":
                linear = self.config["pointActivation"] == "linear"
                points = value if linear else value.sign() * value.abs().expm1()
                result.update(points=points, pointConfidence=confidence)
        return result


GRADIENTS = ["projectors.0.fc1.weight", "depth.projects.3.weight", "depth.resize_layers.0.weight",
             "depth.resize_layers.3.bias", "depth.scratch.layer2_rn.weight",
             "depth.scratch.refinenet1.resConfUnit1.conv2.weight", "point.scratch.refinenet4.out_conv.bias",
             "point.scratch.output_conv2.0.bias", "point.scratch.output_conv2.2.weight"]


def filled(module, prefix):
    module.double()
    with torch.no_grad():
        for name, p in module.named_parameters():
            p.copy_(fill(f"{prefix}.{name}", p.shape))
    return module


def heads_case(case):
    config = DEFAULTS | case["config"]
    heads = filled(Heads(config, case["channels"]), "spatial")
    taps = [fill(f"tap.{i}", (case["views"], *case["grid"], c)).mul(4).requires_grad_()
            for i, c in enumerate(case["channels"])]
    outputs = heads(taps, case["size"])
    sum((fill(f"outputs.{name}", value.shape) * value).mean() for name, value in outputs.items()).backward()
    vectors = {name: value.detach() for name, value in outputs.items()}
    vectors |= {f"gradient.tap.{i}": tap.grad for i, tap in enumerate(taps)}
    parameters = dict(heads.named_parameters())
    vectors |= {f"gradient.spatial.{name}": parameters[name].grad for name in GRADIENTS}
    case["parameters"] = {f"spatial.{name}": list(p.shape) for name, p in parameters.items()}
    return vectors


def distillation_case(case):
    rows, width, target = case["rows"], case["hiddenSize"], case["featureChannels"]
    phi = nn.ModuleDict({"fc1": nn.Linear(width, 2 * width), "fc2": nn.Linear(2 * width, target)})
    filled(phi, "spatial.distill")
    hidden = fill("hidden", (rows, width)).mul(4).requires_grad_()
    features = fill("features", (rows, target))
    projected = phi["fc2"](F.gelu(phi["fc1"](hidden)))
    loss = (1 - F.cosine_similarity(projected, features, dim=-1)).mean()
    loss.backward()
    return {"projected": projected.detach(), "loss": loss.detach(), "gradient.hidden": hidden.grad,
            "gradient.spatial.distill.fc1.weight": phi["fc1"].weight.grad}


def write(name, case, vectors):
    folder = FOLDER / name
    folder.mkdir(parents=True, exist_ok=True)
    info = {"script": "reference/heads/heads_golden.py", **case, "seed": "tensors are filled from their names",
            "versions": {"torch": torch.__version__, "python": platform.python_version()}, "dtype": "float64",
            "tolerance": {"values": {"rtol": 1e-5, "atol": 1e-5}, "gradients": {"rtol": 1e-4, "atol": "1e-5 of the largest"}, "why": WHY}}
    (folder / "case.json").write_text(json.dumps(info) + "\n")
    save_file({k: v.float().contiguous() for k, v in vectors.items()}, folder / "vectors.safetensors")


if __name__ == "__main__":
    for name, case in CASES.items():
        write(name, case, heads_case(case))
    distillation = dict(rows=7, hiddenSize=6, featureChannels=10)
    write("distillation", distillation, distillation_case(distillation))
