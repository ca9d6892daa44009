"""Golden vectors of packages/train/src/probe: programs with gradients (PyTorch), targets and metrics (NumPy, SciPy), float64.

Maps: standardised states, then one linear layer with pixel_shuffle, or a linear layer and the DPT head of
reference/heads/heads_golden.py. Correspondence: F.normalize and F.cross_entropy over a list of matched cells, where the
TypeScript code sums one-hot masks. Geometry: NumPy over whole arrays, SciPy for angles, where the TypeScript code loops.
Run: python reference/probe/probe_golden.py
"""
import json
import platform
import sys
from pathlib import Path

import numpy as np
import scipy
import torch
import torch.nn.functional as F
from safetensors.numpy import save_file
from scipy.spatial.transform import Rotation

sys.path.insert(0, str(Path(__file__).parents[1] / "heads"))
from heads_golden import DptHead  # noqa: E402

FOLDER = Path(__file__).parents[2] / "packages/train/src/probe/__golden__"
SCRIPT = "reference/probe/probe_golden.py"
VERSIONS = {"torch": torch.__version__, "numpy": np.__version__, "scipy": scipy.__version__,
            "python": platform.python_version()}
CHANNELS = {"depth": 1, "normals": 3, "ray-map": 6}
DPT = dict(projectorChannels=32, stageChannels=[16, 16, 32, 32], features=16, hiddenChannels=16, residualRelu=False,
           positionEmbedding=False)
MAPS = {
    "linear-depth": dict(kind="linear", task="depth", shape=[2, 2, 3, 5]),
    "linear-ray-map": dict(kind="linear", task="ray-map", shape=[1, 3, 1, 4]),
    "dpt-normals": dict(kind="dpt", task="normals", shape=[1, 2, 2, 7]),
}
PAIRS = {"match-square": dict(shape=[2, 4, 4, 5]), "match-odd": dict(shape=[3, 6, 3, 4])}


def save(name, info, vectors):
    folder = FOLDER / name
    folder.mkdir(parents=True, exist_ok=True)
    info = {"script": SCRIPT, **info, "versions": VERSIONS}
    (folder / "case.json").write_text(json.dumps(info, indent=1) + "\n")
    save_file({k: np.ascontiguousarray(v) for k, v in vectors.items()}, folder / "vectors.safetensors")


def rounded(tensor):
    """float64 values that float32 holds exactly."""
    return tensor.float().double()


def narrow(vectors):
    return {k: np.asarray(v, dtype=np.float32) for k, v in vectors.items()}


# ------------------------------------------------------------------------------------------------ maps


class DptProbe(torch.nn.Module):
    def __init__(self, channels, outputs):
        super().__init__()
        self.input = torch.nn.Linear(channels, DPT["projectorChannels"])
        self.head = DptHead(DPT, outputs)

    def forward(self, x):
        y = self.input(x).permute(0, 3, 1, 2)
        size, whole = [(n * y.shape[2], n * y.shape[3]) for n in (4, 8)]
        head, h, w = self.head, y.shape[2], y.shape[3]
        stages = [resize(project(y)) for project, resize in zip(head.projects, head.resize_layers)]
        sizes = [stage.shape[2:] for stage in stages]
        scratch = head.scratch
        lateral = [getattr(scratch, f"layer{i + 1}_rn")(stage) for i, stage in enumerate(stages)]
        path = scratch.refinenet4(lateral[3], sizes[2])
        path = scratch.refinenet3(path, sizes[1], lateral[2])
        path = scratch.refinenet2(path, sizes[0], lateral[1])
        path = scratch.refinenet1(path, size, lateral[0])
        path = F.interpolate(scratch.output_conv1(path), size=size, mode="bilinear", align_corners=True)
        maps = F.interpolate(scratch.output_conv2(path), size=whole, mode="bilinear", align_corners=True)
        return maps.permute(0, 2, 3, 1)


class LinearProbe(torch.nn.Module):
    def __init__(self, channels, outputs):
        super().__init__()
        self.map = torch.nn.Linear(channels, outputs * 64)
        self.outputs = outputs

    def forward(self, x):
        y = self.map(x)  # (V, h, w, 64 · k), channels last within a pixel; pixel_shuffle wants them first
        v, h, w, _ = y.shape
        y = y.reshape(v, h, w, 64, self.outputs).permute(0, 4, 3, 1, 2).reshape(v, self.outputs * 64, h, w)
        return F.pixel_shuffle(y, 8).permute(0, 2, 3, 1)


def write_map(name, case):
    generator = torch.Generator().manual_seed(len(name))
    v, h, w, c = case["shape"]
    outputs = CHANNELS[case["task"]]
    model = {"linear": LinearProbe, "dpt": DptProbe}[case["kind"]](c, outputs).double()
    with torch.no_grad():
        for parameter in model.parameters():
            spread = 0.6 / parameter[0].numel() ** 0.5
            parameter.copy_(rounded(spread * torch.randn(parameter.shape, generator=generator, dtype=torch.float64)))
    draw = lambda *shape: rounded(torch.randn(*shape, generator=generator, dtype=torch.float64))
    x, mean, inverse = 3 * draw(v, h, w, c) + 1, draw(c), rounded(0.5 + draw(c).abs())
    x = rounded(x)
    target, mask = draw(v, 8 * h, 8 * w, outputs), (draw(v, 8 * h, 8 * w) > -0.5).double()
    maps = model(((x - mean) * inverse).clamp(-5, 5))
    maps = maps.exp() if case["task"] == "depth" else maps
    loss = (maps - target)[mask.bool()].square().sum()
    loss.backward()
    vectors = {"x": x, "mean": mean, "inverse": inverse, "target": target, "mask": mask, "maps": maps.detach()}
    for key, parameter in model.named_parameters():
        vectors[f"parameter.{key}"] = parameter.detach()
        vectors[f"gradient.{key}"] = parameter.grad
    save(name, {**case, "loss": loss.item(), "tolerance": {"values": 1e-5, "gradients": 1e-4}},
         narrow({k: t.numpy() for k, t in vectors.items()}))


def write_pairs(name, case):
    generator = torch.Generator().manual_seed(len(name))
    n, p, q, c = case["shape"]
    draw = lambda *shape: rounded(torch.randn(*shape, generator=generator, dtype=torch.float64))
    weight = (0.3 * draw(64, c)).float().double().requires_grad_()
    first, second, mean, inverse = draw(n, p, c), draw(n, q, c), draw(c), rounded(0.5 + draw(c).abs())
    targets = torch.randint(0, q, (n, p), generator=generator)
    weights = (draw(n, p) > -0.6).double()
    code = lambda x: F.normalize(F.linear(((x - mean) * inverse).clamp(-5, 5), weight), dim=-1)
    similarity = torch.einsum("npd,nqd->npq", code(first), code(second))
    chosen = weights.bool()
    loss = F.cross_entropy(similarity[chosen] / 0.07, targets[chosen], reduction="sum")
    loss.backward()
    vectors = {"first": first, "second": second, "mean": mean, "inverse": inverse, "weights": weights,
               "similarity": similarity.detach(), "parameter.match.weight": weight.detach(),
               "gradient.match.weight": weight.grad}
    arrays = narrow({k: t.numpy() for k, t in vectors.items()})
    arrays["targets"] = targets.numpy().astype(np.int32)
    save(name, {**case, "loss": loss.item(), "tolerance": {"values": 1e-5, "gradients": 1e-4}}, arrays)


# ------------------------------------------------------------------------------------------------ geometry


def scene(views, height, width, offset):
    """A room's back wall and floor with a ball before them, seen by cameras that move and turn. z-depth by ray casting."""
    depth, intrinsics, extrinsics = [], [], []
    for view in range(views):
        k = np.array([[0.9 * width, 0, width / 2 + 0.7], [0, 0.95 * width, height / 2 - 0.4], [0, 0, 1]])
        r = Rotation.from_euler("yx", [0.12 * view, -0.05 * view]).as_matrix()
        t = np.array([-0.3 * view, 0.05 * view, 0.1 * view])
        y, x = np.mgrid[:height, :width].astype(np.float64) + offset
        rays = np.stack([x, y, np.ones_like(x)], -1) @ np.linalg.inv(k).T @ r  # camera z = 1, world axes
        centre = -r.T @ t
        wall = (4 - centre[2]) / rays[..., 2]
        floor = np.where(rays[..., 1] > 1e-6, (1.1 - centre[1]) / np.maximum(rays[..., 1], 1e-6), np.inf)
        ball = np.array([0.3, 0.4, 2.6])
        a, b = (rays**2).sum(-1), rays @ (centre - ball)
        disc = b**2 - a * (((centre - ball) ** 2).sum() - 0.5**2)
        hit = np.where(disc > 0, (-b - np.sqrt(np.maximum(disc, 0))) / a, np.inf)
        depth.append(np.minimum(np.minimum(wall, floor), hit))
        intrinsics.append(k)
        extrinsics.append(np.concatenate([r, t[:, None]], 1))
    return [np.asarray(each).astype(np.float32).astype(np.float64) for each in (depth, intrinsics, extrinsics)]


def camera_points(depth, k, offset):
    height, width = depth.shape
    y, x = np.mgrid[:height, :width].astype(np.float64) + offset
    return (np.stack([x, y, np.ones_like(x)], -1) @ np.linalg.inv(k).T) * depth[..., None]


def normals_of(depth, k, mask, offset):
    """Mean of the unit cross products of the four pairs of neighbours, by shifted arrays."""
    points = np.where(mask[..., None], camera_points(depth, k, offset), np.nan)
    padded = np.pad(points, ((1, 1), (1, 1), (0, 0)), constant_values=np.nan)
    up, down = padded[:-2, 1:-1] - points, padded[2:, 1:-1] - points
    left, right = padded[1:-1, :-2] - points, padded[1:-1, 2:] - points
    total, count = np.zeros_like(points), np.zeros(mask.shape)
    for a, b in [(up, left), (left, down), (down, right), (right, up)]:
        cross = np.cross(a, b)
        known = ~np.isnan(cross).any(-1)
        total[known] += cross[known] / np.linalg.norm(cross[known], axis=-1, keepdims=True)
        count += known
    valid = count > 0
    total[valid] /= np.linalg.norm(total[valid], axis=-1, keepdims=True)
    return np.where(valid[..., None], total, 0), valid


def angle_statistics(prediction, target, mask):
    a, b = prediction[mask], target[mask]
    cosine = (a * b).sum(-1) / np.linalg.norm(a, axis=-1) / np.linalg.norm(b, axis=-1)
    angles = np.degrees(np.arccos(np.clip(cosine, -1, 1)))
    return dict(meanDeg=angles.mean(), medianDeg=np.median(angles), rmseDeg=np.sqrt((angles**2).mean()),
                within11=(angles < 11.25).mean(), within22=(angles < 22.5).mean(), within30=(angles < 30).mean())


def matches_of(scene_, mask, layout, source, target, offset):
    """(M, 5): cell, target cell, row and column in cells, and the pixel of the first view."""
    depth, intrinsics, extrinsics = scene_
    (h, w), window = layout["grid"], layout["window"]
    height, width = depth.shape[1:]
    x0, y0, x1, y1 = window
    rows, columns = np.mgrid[:h, :w]
    px = np.floor(x0 + (columns + 0.5) * (x1 - x0) / w).astype(int).ravel()
    py = np.floor(y0 + (rows + 0.5) * (y1 - y0) / h).astype(int).ravel()
    k, e = np.linalg.inv(intrinsics[source]), extrinsics[source]
    camera = (k @ np.stack([px + offset, py + offset, np.ones(len(px))])) * depth[source, py, px]
    world = e[:, :3].T @ (camera - e[:, 3:])
    seen = extrinsics[target][:, :3] @ world + extrinsics[target][:, 3:]
    u, v, z = intrinsics[target] @ seen
    u, v = u / z + 0.5 - offset, v / z + 0.5 - offset
    inside = (z > 0) & (u >= 0) & (u < width) & (v >= 0) & (v < height) & mask[source, py, px]
    qx, qy = np.clip(np.floor(u), 0, width - 1).astype(int), np.clip(np.floor(v), 0, height - 1).astype(int)
    visible = inside & mask[target, qy, qx] & (np.abs(depth[target, qy, qx] - z) <= 0.05 * z)
    column, row = (u - x0) / (x1 - x0) * w, (v - y0) / (y1 - y0) * h
    keep = visible & (column >= 0) & (column < w) & (row >= 0) & (row < h)
    cell = np.floor(row) * w + np.floor(column)
    return np.stack([np.arange(h * w), cell, row, column], -1)[keep]


def count(similarity, matches, grid):
    """Ranks by sorting, where the TypeScript code counts."""
    h, w = grid
    cells, targets = matches[:, 0].astype(int), matches[:, 1].astype(int)
    order = np.argsort(-similarity[cells], axis=1, kind="stable")
    rank = (order == targets[:, None]).argmax(1)
    best = order[:, 0]
    distance = np.hypot(best // w + 0.5 - matches[:, 2], best % w + 0.5 - matches[:, 3])
    side = max(h, w)
    return dict(matches=len(cells), recall1=int((rank < 1).sum()), recall5=int((rank < 5).sum()),
                pck10=int((distance <= 0.1 * side).sum()), pck20=int((distance <= 0.2 * side).sum()))


def write_geometry(name, views, height, width, centre, layout):
    offset = {"half": 0.5, "integer": 0.0}[centre]
    random = np.random.default_rng(len(name))
    depth, intrinsics, extrinsics = scene(views, height, width, offset)
    mask = random.random(depth.shape) > 0.05
    normals, valid = zip(*[normals_of(depth[v], intrinsics[v], mask[v], offset) for v in range(views)])
    normals, valid = np.stack(normals), np.stack(valid)
    prediction = (normals + 0.35 * random.standard_normal(normals.shape)).astype(np.float32).astype(np.float64)
    statistics = angle_statistics(prediction, normals, valid)
    vectors = {"depth": depth, "intrinsics": intrinsics, "extrinsics": extrinsics, "normals": normals,
               "prediction": prediction}
    arrays = narrow(vectors) | {"mask": mask.astype(np.int32), "normalMask": valid.astype(np.int32)}
    pairs = []
    cells = layout["grid"][0] * layout["grid"][1]
    for a in range(views):
        for b in range(views):
            if a == b:
                continue
            found = matches_of((depth, intrinsics, extrinsics), mask, layout, a, b, offset)
            similarity = random.standard_normal((cells, cells)).astype(np.float32)
            similarity[found[:, 0].astype(int), found[:, 1].astype(int)] += 1.5
            arrays[f"matches.{a}.{b}"] = found
            arrays[f"similarity.{a}.{b}"] = similarity
            pairs.append({"from": a, "to": b, "counts": count(similarity, found, layout["grid"])})
    info = dict(views=views, height=height, width=width, pixelCentre=centre, layout=layout,
                statistics={k: float(v) for k, v in statistics.items()}, pairs=pairs,
                tolerance={"normals": 1e-4, "why": "differences of float32 points", "statistics": 1e-6})
    save(name, info, arrays)


if __name__ == "__main__":
    for key, value in MAPS.items():
        write_map(key, value)
    for key, value in PAIRS.items():
        write_pairs(key, value)
    write_geometry("room-half", 3, 24, 32, "half", {"grid": [6, 8], "window": [0, 0, 32, 24]})
    write_geometry("room-integer", 2, 21, 20, "integer", {"grid": [4, 5], "window": [2.5, 1.5, 17.5, 19]})
