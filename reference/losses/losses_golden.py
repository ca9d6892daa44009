"""Golden vectors of packages/core/src/losses: equations 5 and 10-12 with gradients, float64.

Written with boolean indexing and torch.autograd, in the form of VGGT's training losses (arXiv:2503.11651), so that it
shares no formulation with the TypeScript code. Run: python reference/losses/losses_golden.py
"""
import json
import platform
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import save_file

FOLDER = Path(__file__).parents[2] / "packages/core/src/losses/__golden__"
SEED = 11
WHY = "float64 reference against float32 arithmetic; the sums run over at most 864 terms"
DEFAULTS = dict(regression="l2", confidenceWeight=0.2, rayNorm="joint", gradientScales=4, gradientConfidence=True,
                gradientCount="pixels", gradientLogMasked=True, normalScales=3, normalConfidence=True,
                outlierQuantile=None, outlierMinimum=1000)
CASES = {
    "even": dict(shape=[2, 8, 10], config={}),
    "odd": dict(shape=[1, 7, 5], config=dict(confidenceWeight=0.5, rayNorm="split", regression="mse")),
    "literal": dict(shape=[3, 7, 6], config=dict(gradientScales=1, normalScales=1, gradientCount="pairs")),
    "plain": dict(shape=[2, 5, 13], config=dict(gradientConfidence=False, normalConfidence=False)),
    "outliers": dict(shape=[2, 9, 8], config=dict(outlierQuantile=0.9, outlierMinimum=40, gradientLogMasked=False)),
}


def quantile_filter(values, config):
    q, minimum = config["outlierQuantile"], config["outlierMinimum"]
    if q is None or values.numel() <= minimum:
        return values
    values = values.clamp(max=100)
    threshold = values.detach().sort().values[round(q * (values.numel() - 1))]
    kept = values[values < threshold]
    return kept if kept.numel() > minimum else values


def pixel_terms(pred, gt, c, mask, config, split=False):
    """Regression and confidence means; pred and gt (V, H, W, C)."""
    if not mask.any():
        zero = pred.sum() * 0
        return zero, zero
    d = gt[mask] - pred[mask]
    r = d[:, :3].norm(dim=-1) + d[:, 3:].norm(dim=-1) if split else d.norm(dim=-1)
    regression = d.square().mean(-1) if config["regression"] == "mse" else r
    confidence = r * c[mask] - config["confidenceWeight"] * c[mask].log()
    return quantile_filter(regression, config).mean(), quantile_filter(confidence, config).mean()


def gradient_scale(pred, gt, c, mask, config):
    if not mask.any():
        return pred.sum() * 0
    diff = torch.where(mask, pred - gt, 0.0)
    total = 0.0
    for axis in (2, 1):
        n = diff.shape[axis]
        after, before = [lambda t, s=s: t.narrow(axis, s, n - 1) for s in (1, 0)]
        pair = after(mask) & before(mask)
        g = (after(diff) - before(diff)).abs()[pair].clamp(max=100)
        term = g.sum()
        if config["gradientConfidence"]:
            logs = after(c)[pair] if config["gradientLogMasked"] else after(c)
            term = (g * after(c)[pair]).sum() - config["confidenceWeight"] * logs.log().sum()
        total = total + term / max(1, (mask if config["gradientCount"] == "pixels" else pair).sum())
    return total


def directions(points, mask):
    p = F.pad(points.permute(0, 3, 1, 2), (1, 1, 1, 1)).permute(0, 2, 3, 1)
    m = F.pad(mask, (1, 1, 1, 1), value=False)
    slices = [(slice(None, -2), slice(1, -1)), (slice(1, -1), slice(None, -2)),
              (slice(2, None), slice(1, -1)), (slice(1, -1), slice(2, None))]
    steps = [p[:, a, b] - points for a, b in slices]
    valid = [m[:, a, b] & mask for a, b in slices]
    n = [torch.linalg.cross(steps[i], steps[(i + 1) % 4]) for i in range(4)]
    return F.normalize(torch.stack(n), dim=-1, eps=1e-8), torch.stack([valid[i] & valid[(i + 1) % 4] for i in range(4)])


def normal_scale(pred, gt, c, mask, config):
    n_pred, valid = directions(pred, mask)
    n_gt, _ = directions(gt, mask)
    if valid.sum() < 10:
        return pred.sum() * 0
    term = 1 - (n_pred[valid] * n_gt[valid]).sum(-1)
    if config["normalConfidence"]:
        c = c[None].expand(4, -1, -1, -1)[valid]
        term = term * c - config["confidenceWeight"] * c.log()
    return term.mean()


def scales(f, count, pred, gt, c, mask, config):
    cut = lambda t, s: t[:, :: 2**s, :: 2**s]
    return sum(f(cut(pred, s), cut(gt, s), cut(c, s), cut(mask, s), config) for s in range(count)) / count


def losses(x, config):
    mask, ray_mask = x["mask"].bool(), x["rayMask"].bool()
    depth = pixel_terms(x["depth"][..., None], x["depthLabel"][..., None], x["depthConfidence"], mask, config)
    ray = pixel_terms(x["rays"], x["raysLabel"], x["rayConfidence"], ray_mask, config, config["rayNorm"] == "split")
    point = pixel_terms(x["points"], x["pointsLabel"], x["pointConfidence"], mask, config)
    gradient = scales(gradient_scale, config["gradientScales"], x["depth"], x["depthLabel"], x["depthConfidence"], mask,
                      config)
    normal = scales(normal_scale, config["normalScales"], x["points"], x["pointsLabel"], x["pointConfidence"], mask,
                    config)
    return {"lossDepth": sum(depth) + gradient, "lossDepthRegression": depth[0], "lossDepthConfidence": depth[1],
            "lossDepthGradient": gradient, "lossRay": sum(ray), "lossRayRegression": ray[0],
            "lossRayConfidence": ray[1], "lossPoint": sum(point) + normal, "lossPointRegression": point[0],
            "lossPointConfidence": point[1], "lossPointNormal": normal}


def inputs(shape, generator):
    """Smooth labels, noisy predictions; a masked row, scattered masked pixels, and zero residuals at some pixels."""
    v, h, w = shape
    noise = lambda *channels: torch.randn(v, h, w, *channels, generator=generator, dtype=torch.float64)
    views, y, x = torch.meshgrid(*[torch.arange(n, dtype=torch.float64) for n in shape], indexing="ij")
    depth = 2 + 0.4 * torch.sin(0.8 * x + views) + 0.3 * torch.cos(0.6 * y)
    points = torch.stack([(x - w / 2) / w * depth, (y - h / 2) / h * depth, depth], -1)
    mask = (noise() > -1).double()
    mask[0, h // 2] = 0
    ray_mask = torch.ones(shape, dtype=torch.float64)
    ray_mask[-1] = 0 if v > 1 else 1
    if v > 2:
        mask[1] = 0
    result = {"mask": mask, "rayMask": ray_mask}
    for name, label, channels in [("depth", depth, ()), ("rays", noise(6), (6,)), ("points", points, (3,))]:
        result[f"{name}Label"] = label
        result[name] = label + 0.15 * noise(*channels)
    result["depth"][0, 0, :2] = result["depthLabel"][0, 0, :2]
    result["rays"][0, 0, 0] = result["raysLabel"][0, 0, 0]
    for name in ("depthConfidence", "rayConfidence", "pointConfidence"):
        result[name] = 1 + noise().exp()
    return {name: value.float().double() for name, value in result.items()}


def write(name, case):
    generator = torch.Generator().manual_seed(SEED)
    x = inputs(case["shape"], generator)
    leaves = {k: v.requires_grad_() for k, v in x.items() if not k.endswith(("Label", "ask"))}
    values = losses(x, DEFAULTS | case["config"])
    (values["lossDepth"] + values["lossRay"] + values["lossPoint"]).backward()
    vectors = {k: v.detach() for k, v in x.items()} | {f"gradient.{k}": v.grad for k, v in leaves.items()}
    folder = FOLDER / name
    folder.mkdir(parents=True, exist_ok=True)
    info = {"script": "reference/losses/losses_golden.py", **case, "seed": SEED, "dtype": "float64",
            "values": {k: v.item() for k, v in values.items()},
            "versions": {"torch": torch.__version__, "python": platform.python_version()},
            "tolerance": {"values": 1e-5, "gradients": {"rtol": 1e-4, "atol": "1e-5 of the largest"}, "why": WHY}}
    (folder / "case.json").write_text(json.dumps(info, indent=1) + "\n")
    save_file({k: v.float().contiguous() for k, v in vectors.items()}, folder / "vectors.safetensors")


if __name__ == "__main__":
    for name, case in CASES.items():
        write(name, case)
