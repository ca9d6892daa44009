"""The peer of `npm run bench -- train`: the same training step in PyTorch eager mode, float32, on the CPU with all of its cores.

usage: python bench_train.py '{"kind":"decoder",…}'
Prints a line when it is ready; then, for each line on standard input, takes one step (forward, backward, AdamW) and prints its
milliseconds and the peak resident memory of the process in MiB. Kinds: `decoder`, everything trained (bench_step.py); `lora`, the
language model of a checkpoint's shape with low-rank updates beside frozen weights and checkpointed layers, and its projector, trained
in full, over the features of views that were encoded before; `heads`, a whole tiny Qwen2.5-VL with the heads and losses of reference/,
its images encoded before.
"""

import importlib.util
import json
import resource
import sys
import time
from pathlib import Path

import bench_peer  # Ends this process with the bench.

import torch
import torch.nn.functional as F
from torch import nn

from bench_step import Decoder

REFERENCE = Path(__file__).resolve().parent


def say(figures):
    print(json.dumps(figures), flush=True)


def load(part):
    path = REFERENCE / part
    sys.path.insert(0, str(path.parent))
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def adamw(parameters):
    return torch.optim.AdamW([p for p in parameters if p.requires_grad], lr=1e-4, weight_decay=0.0)


def decoder_step(settings):
    model = Decoder(settings)
    optimizer = adamw(model.parameters())
    ids, targets = (torch.randint(settings["vocabularySize"], (settings["tokens"],)) for _ in range(2))

    def step():
        optimizer.zero_grad(set_to_none=True)
        F.cross_entropy(model(ids), targets).backward()
        optimizer.step()

    return step


class LowRank(nn.Module):
    """A frozen linear layer with an update."""

    def __init__(self, base, rank, alpha):
        super().__init__()
        self.base = base.requires_grad_(False)
        self.down = nn.Linear(base.in_features, rank, bias=False)
        self.up = nn.Linear(rank, base.out_features, bias=False)
        nn.init.zeros_(self.up.weight)
        self.scale = alpha / rank

    def forward(self, x):
        return self.base(x) + self.up(self.down(x)) * self.scale


def lora_step(settings):
    from transformers import AutoConfig, Qwen2_5_VLForConditionalGeneration

    config = AutoConfig.from_pretrained(settings["folder"])
    model = Qwen2_5_VLForConditionalGeneration.from_pretrained(
        settings["folder"], config=config, dtype=torch.float32, attn_implementation="sdpa"
    )
    merger, vision = model.model.visual.merger, config.vision_config
    del model.model.visual
    model.requires_grad_(False)
    merger.requires_grad_(True)
    for layer in model.model.language_model.layers:
        for owner in (layer.self_attn, layer.mlp):
            for name, child in list(owner.named_children()):
                if isinstance(child, nn.Linear):
                    setattr(owner, name, LowRank(child, settings["rank"], settings["alpha"]))
    language = model.model.language_model
    model.train()
    language.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
    optimizer = adamw([*model.parameters(), *merger.parameters()])
    ids = torch.randint(config.text_config.vocab_size, (settings["tokens"],))
    targets = ids[-16:]
    rows = settings["views"] * settings["grid"][0] * settings["grid"][1]
    features = torch.randn(rows * vision.spatial_merge_size**2, vision.hidden_size)
    cells = torch.arange(rows) + 4

    def step():
        optimizer.zero_grad(set_to_none=True)
        embedded = language.embed_tokens(ids).index_copy(0, cells, merger(features))
        hidden = language(inputs_embeds=embedded[None], use_cache=False).last_hidden_state[0, -17:-1]
        F.cross_entropy(model.lm_head(hidden), targets).backward()
        optimizer.step()

    return step


def heads_step(settings):
    from transformers import Qwen2_5_VLForConditionalGeneration

    heads_golden, losses_golden = load("heads/heads_golden.py"), load("losses/losses_golden.py")
    in_double = heads_golden.embedding
    heads_golden.embedding = lambda *size: in_double(*size).float()
    model = Qwen2_5_VLForConditionalGeneration.from_pretrained(settings["folder"], dtype=torch.float32)
    model.model.visual.requires_grad_(False)
    merger, language = model.model.visual.merger.requires_grad_(True), model.model.language_model
    width, layers = model.config.text_config.hidden_size, len(language.layers)
    views, (h, w), options = settings["views"], settings["grid"], settings["heads"]
    scale = options["outputScale"]
    size = [h * scale, w * scale]
    spatial = heads_golden.Heads(heads_golden.DEFAULTS | options, [width] * 4).float()
    rows = views * h * w
    context = model.config.vision_config.hidden_size
    features = torch.randn(rows * model.config.vision_config.spatial_merge_size**2, context)
    ids = torch.randint(200, (settings["tokens"],))
    cells = torch.arange(rows) + 4
    taps = [min(layers, max(1, round(layers * k / 4))) for k in (1, 2, 3, 4)]
    distill = nn.Sequential(nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, 64))
    distilled = torch.randn(rows, 64)
    given = {
        "mask": torch.ones(views, *size), "rayMask": torch.ones(views, *size), "depthLabel": torch.rand(views, *size) + 1,
        "raysLabel": torch.randn(views, *size, 6), "pointsLabel": torch.randn(views, *size, 3),
    }
    trained = [*model.parameters(), *spatial.parameters(), *distill.parameters()]
    optimizer = adamw(trained)

    def step():
        optimizer.zero_grad(set_to_none=True)
        embedded = language.embed_tokens(ids).index_copy(0, cells, merger(features))
        out = language(inputs_embeds=embedded[None], use_cache=False, output_hidden_states=True)
        last = out.last_hidden_state[0]
        text = F.cross_entropy(model.lm_head(last[-17:-1]), ids[-16:])
        tapped = [out.hidden_states[k][0][cells].reshape(views, h, w, -1) for k in taps]
        values = losses_golden.losses(given | spatial(tapped, size), losses_golden.DEFAULTS)
        geometry = sum(values[name] for name in ("lossDepth", "lossRay", "lossPoint"))
        features_loss = (1 - F.cosine_similarity(distill(last[cells]), distilled, dim=-1)).mean()
        (text + geometry + features_loss).backward()
        optimizer.step()

    return step


def main():
    settings = json.loads(sys.argv[1])
    torch.manual_seed(0)
    step = {"decoder": decoder_step, "lora": lora_step, "heads": heads_step}[settings["kind"]](settings)
    say({"threads": torch.get_num_threads()})
    for _ in bench_peer.asked:
        started = time.perf_counter()
        step()
        milliseconds = 1000 * (time.perf_counter() - started)
        say({"step_ms": milliseconds, "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024})


main()
