"""Golden runs of every arm: a tiny Qwen2.5-VL of transformers with the heads and losses of reference/, trained by torch.

usage: python reference/train/arms_golden.py [ARM...]   (from anywhere, with `peft` beside the packages of reference/requirements.txt; writes packages/cli/src/__golden__/train-arms; with names, the other arms stay as they are there)

Twenty steps of AdamW on four samples of two views, one of them without text. Weights are functions of their names
(reference/heads/fill.py), images and labels of pixel and sample, so only results are stored: the losses of every step, and
evenly spread values of every trained tensor after the first step.
"""

import importlib.util
import json
import platform
import sys
from pathlib import Path

import numpy as np
import peft
import torch
import torch.nn.functional as F
import transformers
from PIL import Image
from safetensors.torch import load_file, save_file
from torch import nn
from transformers import AutoConfig, get_cosine_schedule_with_warmup
from transformers.trainer_pt_utils import get_parameter_names

REFERENCE = Path(__file__).resolve().parents[1]
FOLDER = REFERENCE.parent / "packages/cli/src/__golden__/train-arms"


def load(part: str):
    path = REFERENCE / part
    sys.path.insert(0, str(path.parent))
    spec = importlib.util.spec_from_file_location(path.stem + path.parent.name, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


heads_golden = load("heads/heads_golden.py")
losses_golden = load("losses/losses_golden.py")
qwen = load("qwen25vl/make_golden.py")
fill = heads_golden.fill

STEPS = 20
SAMPLES = 24
VIEWS, GRID, SCALE = 2, (2, 3), 8
HEIGHT, WIDTH = GRID[0] * SCALE, GRID[1] * SCALE
IMAGE = (GRID[0] * 28, GRID[1] * 28)
FEATURES = (4, 5, 6)
LAYERS = [1, 2, 3, 4]
TEXTS = [("Which object is nearest?", "A. lamp"), ("Which object is red?", "chair"), ("You are nearest to?", "the red lamp"), None]
RATES = {"languageModel": 1e-3, "projector": 2e-3, "spatial": 3e-3}
# Normals of fresh point maps are differences of nearly equal numbers: at the rates above, two runs of this very script that start
# 1e-6 apart have gradient norms 50 % apart after three steps. These are the paper's (Table 6).
RATES_WITH_POINTS = {"languageModel": 1e-5, "projector": 1e-5, "spatial": 1e-5}
# Updates that begin at unit gain move the model fast: at the first rates, 1e-6 of a start grow to 1e-3 of the losses in eight steps.
RATES_WITH_UPDATES = {group: rate / 10 for group, rate in RATES.items()}
ADAMW = dict(betas=(0.9, 0.999), eps=1e-6, weight_decay=0.01)
HEADS = heads_golden.DEFAULTS | dict(projectorChannels=12, stageChannels=[8, 8, 12, 16], features=8, hiddenChannels=6, preset="tiny")
LOSSES = losses_golden.DEFAULTS
# A gain of 0.3: with unit gain the first gradient norm of this very script differs by 0.7 % between float32 and float64 states, since
# normals of fresh point maps amplify rounding; with 0.3 by 3e-6.
LORA = dict(train=dict(llm="lora", mm="lora"), lora=dict(rank=3, alpha=0.9))
ARMS = {
    "text": dict(arm="text"),
    "distill": dict(arm="distill"),
    "spatialsv": dict(arm="spatialsv"),
    "depth-shared": dict(arm="spatialsv", signals=["dep"], projectors="shared", layers=[2, 2, 2, 2]),
    "adaptive": dict(arm="spatialsv", adaptiveWeights=dict(learningRate=0.05, limit=3)),
    "lora-text": dict(arm="text") | LORA,
    "lora-distill": dict(arm="distill") | LORA,
    "lora-spatialsv": dict(arm="spatialsv") | LORA,
}
TERMS = {"feat": "distillation", "dep": "depth", "ray": "ray", "poi": "point"}


def image(sample: int, view: int) -> np.ndarray:
    """(H, W, 3) uint8."""
    y, x = np.mgrid[0 : IMAGE[0], 0 : IMAGE[1]]
    channels = [(x * (3 + sample) + 40 * view) % 256, (y * (2 + view) + 17 * sample) % 256, ((x * y) // (5 + sample)) % 256]
    return np.stack(channels, -1).astype(np.uint8)


def label(sample: int) -> dict[str, torch.Tensor]:
    """What a label source would give: metric depth, cameras in a world of their own, features."""
    v, y, x = (torch.from_numpy(a).double() for a in np.mgrid[0:VIEWS, 0:HEIGHT, 0:WIDTH])
    depth = (2 + 0.03 * x + 0.02 * (sample + 1) * y + 0.5 * v).float()
    mask = ((x + 2 * y + sample) % 7 != 0).float()
    k = torch.tensor([[20.0, 0, WIDTH / 2], [0, 20.0, HEIGHT / 2], [0, 0, 1]])
    turns = [rotation(0.1 * sample + 0.2 * view) for view in range(VIEWS)]
    shifts = [torch.tensor([0.3 * view, 0.1 * sample, 0.25]) for view in range(VIEWS)]
    world_to_camera = torch.stack([torch.cat([r, t[:, None]], 1) for r, t in zip(turns, shifts)]).float()
    features = fill(f"features.{sample}", (VIEWS, *FEATURES)).float()
    return {"depth": depth, "mask": mask, "intrinsics": k.expand(VIEWS, 3, 3).clone(), "extrinsics": world_to_camera, "features": features}


def rotation(angle: float) -> torch.Tensor:
    c, s = np.cos(angle), np.sin(angle)
    return torch.tensor([[c, 0, s], [0, 1, 0], [-s, 0, c]], dtype=torch.float32)


def targets(given: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Equations 8 and 9 in the frame of the first camera, lengths divided by the mean distance of the valid points."""
    mask = given["mask"].bool()
    to_camera = torch.eye(4, dtype=torch.float64).repeat(VIEWS, 1, 1)
    to_camera[:, :3] = given["extrinsics"].double()
    to_first = to_camera[0] @ torch.linalg.inv(to_camera)
    y, x = torch.meshgrid(torch.arange(HEIGHT).double() + 0.5, torch.arange(WIDTH).double() + 0.5, indexing="ij")
    pixels = torch.stack([x, y, torch.ones_like(x)], -1)
    cameras = torch.linalg.inv(given["intrinsics"].double())
    directions = torch.einsum("vij,vjk,hwk->vhwi", to_first[:, :3, :3], cameras, pixels)
    origins = to_first[:, None, None, :3, 3].expand_as(directions)
    depth = given["depth"].double()
    scale = (origins + depth[..., None] * directions)[mask].norm(dim=-1).mean()
    depth, origins = depth / scale, origins / scale
    points = (origins + depth[..., None] * directions) * mask[..., None]
    return {
        "depthLabel": depth * mask,
        "mask": mask.double(),
        "raysLabel": torch.cat([origins, directions], -1),
        "rayMask": torch.ones_like(depth),
        "pointsLabel": points,
    }


def signals_of(arm) -> list[str]:
    defaults = {"text": [], "distill": ["feat"], "spatialsv": list(TERMS)}
    return arm.get("signals", defaults[arm["arm"]])


def rates_of(arm) -> dict[str, float]:
    if "poi" in signals_of(arm):
        return RATES_WITH_POINTS
    return RATES_WITH_UPDATES if "lora" in arm else RATES


class System(nn.Module):
    """The whole of equation 6 for one arm."""

    def __init__(self, arm):
        super().__init__()
        self.signals = signals_of(arm)
        self.layers = arm.get("layers", LAYERS)
        self.backbone = qwen.make_model(AutoConfig.from_pretrained(qwen.FOLDER))
        hidden = self.backbone.config.text_config.hidden_size
        tasks = [TERMS[s] for s in ("dep", "ray", "poi") if s in self.signals]
        projectors = "shared" if arm.get("projectors") == "shared" else "decoupled"
        self.spatial = nn.Module()
        if tasks:
            self.spatial = heads_golden.Heads(HEADS | dict(tasks=tasks, projectors=projectors), [hidden] * 4)
        if "feat" in self.signals:
            widths = [hidden, 2 * hidden, FEATURES[-1]]
            self.spatial.distill = nn.ModuleDict({f"fc{i + 1}": nn.Linear(widths[i], widths[i + 1]) for i in (0, 1)})
        self.tasks = tasks
        with torch.no_grad():
            for name, parameter in self.published().items():
                parameter.data = fill(name, parameter.shape).to(torch.float64 if name.startswith("spatial.") else torch.float32)
        for name, parameter in self.published().items():
            parameter.requires_grad_(not name.startswith("visual.") or name.startswith("visual.merger."))

    def with_updates(self, lora):
        """PEFT around every linear layer of language model and projector; A and B filled by name, B not 0."""
        pattern = r".*(language_model.*_proj|visual\.merger\.mlp\.[02])"
        config = peft.LoraConfig(r=lora["rank"], lora_alpha=lora["alpha"], lora_dropout=0.0, target_modules=pattern)
        self.backbone = peft.get_peft_model(self.backbone, config)
        with torch.no_grad():
            for name, parameter in self.published().items():
                if ".lora_" in name:
                    parameter.copy_(fill(name, parameter.shape))
                if name.startswith("spatial."):
                    parameter.requires_grad_(True)

    def published(self) -> dict[str, nn.Parameter]:
        plain = lambda n: n.removeprefix("base_model.model.").replace(".base_layer", "").replace(".default", "")
        own = {qwen.published(plain(n)): p for n, p in self.backbone.named_parameters()}
        return own | {f"spatial.{n}": p for n, p in self.spatial.named_parameters()}

    def losses(self, inputs, cells, labels, given) -> dict[str, torch.Tensor]:
        out = self.backbone(**inputs, labels=labels, output_hidden_states=True)
        states = [state[0].double() for state in out.hidden_states]
        losses = {} if labels is None else {"text": out.loss.double()}
        if given is None:
            return losses
        if "feat" in self.signals:
            pooled = F.adaptive_avg_pool2d(given["features"].double().permute(0, 3, 1, 2), GRID).permute(0, 2, 3, 1)
            fc = self.spatial.distill
            projected = fc["fc2"](F.gelu(fc["fc1"](states[-1][cells])))
            losses["distillation"] = (1 - F.cosine_similarity(projected, pooled.reshape(projected.shape), dim=-1)).mean()
        if not self.tasks:
            return losses
        taps = [states[layer][cells].reshape(VIEWS, *GRID, -1) for layer in self.layers]
        x = targets(given) | self.spatial(taps, [HEIGHT, WIDTH])
        return losses | task_losses(x, self.tasks)


def task_losses(x, tasks) -> dict[str, torch.Tensor]:
    """Equation 5 for the tasks that there are; the reference takes all three, so the others get their labels."""
    for name, confidence in (("depth", "depthConfidence"), ("rays", "rayConfidence"), ("points", "pointConfidence")):
        x.setdefault(name, x[f"{name}Label"])
        x.setdefault(confidence, torch.ones_like(x["mask"]))
    values = losses_golden.losses(x, LOSSES)
    return {task: values[f"loss{task.capitalize()}"] for task in tasks}


def prepare(processor, sample: int):
    views = [Image.fromarray(image(sample, view)) for view in range(VIEWS)]
    text = TEXTS[sample]
    question = "" if text is None else text[0]
    content = [{"type": "image"}] * VIEWS + [{"type": "text", "text": question}]
    prompt = processor.apply_chat_template([{"role": "user", "content": content}], add_generation_prompt=True, tokenize=False)
    call = lambda t: processor(text=[t], images=views, return_tensors="pt", return_mm_token_type_ids=True)
    inputs = call(prompt if text is None else f"{prompt}{text[1]}<|im_end|>\n")
    cells = (inputs["input_ids"][0] == processor.tokenizer.convert_tokens_to_ids("<|image_pad|>")).nonzero()[:, 0]
    assert len(cells) == VIEWS * GRID[0] * GRID[1]
    labels = None
    if text is not None:
        labels = inputs["input_ids"].clone()
        labels[:, : call(prompt)["input_ids"].shape[1]] = -100
    return inputs, cells, labels


def group_of(name: str) -> str:
    if name.startswith("spatial."):
        return "spatial"
    return "projector" if name.startswith("visual.") else "languageModel"


def spread(values: torch.Tensor) -> torch.Tensor:
    flat = values.detach().clone().reshape(-1)
    if len(flat) <= 2 * SAMPLES:
        return flat
    return flat[(torch.arange(SAMPLES) * len(flat)) // SAMPLES]


def decay_names(system) -> set[str]:
    """Parameters that the Trainer of transformers decays; of those the ones of one dimension, whose names do not say what they are."""
    kept = set(get_parameter_names(system, [nn.LayerNorm], [r"bias", r"layernorm", r"rmsnorm", r"(?:^|\.)norm(?:$|\.)", r"_norm(?:$|\.)"]))
    ids = {id(p) for n, p in system.named_parameters() if n in kept}
    decayed = {n for n, p in system.published().items() if id(p) in ids}
    unnamed = {n for n in decayed if system.published()[n].ndim < 2}
    print("decayed by name alone:", sorted(unnamed))
    return decayed - unnamed


def run(name: str, arm, processor) -> dict[str, torch.Tensor]:
    system = System(arm)
    if "lora" in arm:
        system.with_updates(arm["lora"])
    trained = {n: p for n, p in system.published().items() if p.requires_grad}
    rates = rates_of(arm).items()
    decayed = decay_names(system)
    groups = [
        {"params": [p for n, p in trained.items() if group_of(n) == g and (n in decayed) == decays], "lr": lr} | ({} if decays else {"weight_decay": 0.0})
        for g, lr in rates for decays in (True, False)
    ]
    adaptive = arm.get("adaptiveWeights")
    s = nn.Parameter(torch.zeros(len(ORDER), dtype=torch.float64))
    if adaptive:
        groups.append({"params": [s], "lr": adaptive["learningRate"], "weight_decay": 0.0, "eps": 1e-8})
    optimizer = torch.optim.AdamW([g for g in groups if g["params"]], **ADAMW)
    schedule = get_cosine_schedule_with_warmup(optimizer, 0, STEPS)
    samples = [i for i, text in enumerate(TEXTS) if text is not None or arm["arm"] != "text"]
    prepared = {i: prepare(processor, i) for i in samples}
    curve, norms, vectors = [], [], {}
    for step in range(STEPS):
        optimizer.zero_grad()
        losses = [system.losses(*prepared[i], label(i) if system.signals else None) for i in samples]
        totals = [objective(terms, s if adaptive else None) for terms in losses]
        (sum(totals) / len(samples)).backward()
        norms.append(float(nn.utils.clip_grad_norm_(trained.values(), 1.0)))
        optimizer.step()
        if adaptive:
            with torch.no_grad():
                s.clamp_(-adaptive["limit"], adaptive["limit"])
        schedule.step()
        curve.append(means(losses, totals))
        if step == 0:
            vectors = {f"{name}/{n}": spread(p).float().contiguous() for n, p in trained.items()}
    print(name, curve[0], curve[-1])
    return vectors | {f"{name}/losses": torch.tensor(curve), f"{name}/norms": torch.tensor(norms)}


ORDER = ("text", "distillation", "depth", "ray", "point")


def objective(terms, log_variances):
    """Equation 6, or the same with learnt weights: exp(-s) L + s/2 for each term."""
    if log_variances is None:
        return sum(terms.values())
    weighted = lambda s, loss: torch.exp(-s) * loss + s / 2
    return sum(weighted(log_variances[ORDER.index(t)], loss) for t, loss in terms.items())


def means(losses, totals) -> list[float]:
    """Mean of each term over the samples that have it, then of the sums; −1 where none has it."""
    terms = [[float(sample[t].detach()) for sample in losses if t in sample] for t in ORDER]
    return [float(np.mean(values)) if values else -1.0 for values in [*terms, [float(t.detach()) for t in totals]]]


def kept(names) -> dict[str, torch.Tensor]:
    """Vectors of arms that are not run again."""
    stored = load_file(FOLDER / "vectors.safetensors") if names else {}
    return {key: value for key, value in stored.items() if key.split("/")[0] in names}


def main():
    processor = qwen.make_processor()
    wanted = sys.argv[1:] or list(ARMS)
    vectors = kept(set(ARMS) - set(wanted))
    for name in wanted:
        vectors |= run(name, ARMS[name], processor)
    FOLDER.mkdir(parents=True, exist_ok=True)
    save_file(vectors, FOLDER / "vectors.safetensors")
    for sample in range(len(TEXTS)):
        for view in range(VIEWS):
            Image.fromarray(image(sample, view)).save(FOLDER / f"{sample}-{view}.png", optimize=True)
    save_file({f"{i}.{key}": value.contiguous() for i in range(len(TEXTS)) for key, value in label(i).items()}, FOLDER / "labels.safetensors")
    record = {
        "script": "reference/train/arms_golden.py",
        "reference": "transformers Qwen2_5_VLForConditionalGeneration (eager), peft, reference/heads and reference/losses, torch.optim.AdamW",
        "weightDecay": "the names that the Trainer of transformers decays, of two and more dimensions",
        "versions": {"peft": peft.__version__, "torch": torch.__version__, "transformers": transformers.__version__, "python": platform.python_version()},
        "checkpoint": "packages/adapter-qwen25vl/src/__golden__/checkpoint; weights by reference/heads/fill.py",
        "dtype": "float32 backbone, float64 heads and losses",
        "steps": STEPS,
        "samples": SAMPLES,
        "texts": TEXTS,
        "views": VIEWS,
        "layers": LAYERS,
        "heads": {key: HEADS[key] for key in ("preset", "projectorChannels", "stageChannels", "features", "hiddenChannels")},
        "optimizer": {"betas": ADAMW["betas"], "epsilon": ADAMW["eps"], "weightDecay": ADAMW["weight_decay"]},
        "arms": ARMS,
        "learningRates": {name: rates_of(arm) for name, arm in ARMS.items()},
        "tolerance": {
            "updated": 1e-4,
            "losses": 1e-3,
            "why": "relative; the first update of Adam is nearly the sign of a gradient, and small gradients are sums with rounding errors",
        },
    }
    (FOLDER / "case.json").write_text(json.dumps(record, indent=2) + "\n")


if __name__ == "__main__":
    main()
