"""Golden run under autocast: the tiny Qwen2.5-VL of arms_golden.py, its text arm, in bfloat16.

usage: python reference/train/autocast_golden.py   (as reference/train/arms_golden.py; writes packages/cli/src/__golden__/autocast)

Steps of AdamW as in the arm `text` of arms_golden.py, and a greedy answer to its first question, under
`torch.autocast("cpu", dtype=torch.bfloat16)`. Kept are the losses and gradient norms of the steps, evenly spread values of every
trained tensor and of its gradient after the first step, and the logits and ids of the answer. The same in float32 says how far
apart the two precisions are.

Of logits and key biases, which answer most to where a program rounds, case.json has how far PyTorch is from itself under autocast
when it computes the same in another way (`VARIANTS`).
"""

import contextlib
import json
import platform
from pathlib import Path

import arms_golden as arms
import torch
import transformers
from rounding_golden import InFloat32
from safetensors.torch import save_file
from transformers import get_cosine_schedule_with_warmup

FOLDER = arms.REFERENCE.parent / "packages/cli/src/__golden__/autocast"
STEPS = 4
TOKENS = 6
PRECISIONS = {
    "float32": contextlib.nullcontext,
    "bfloat16": lambda: torch.autocast("cpu", dtype=torch.bfloat16),
}


def activations_in_float32(model):
    for module in model.modules():
        if hasattr(module, "act_fn"):
            module.act_fn = InFloat32(module.act_fn)


# Under autocast the residual stream of the vision encoder has the type of its first product.
VARIANTS = {
    "scaled dot product": lambda model: model.set_attn_implementation("sdpa"),
    "activations in float32": activations_in_float32,
    "residual stream of the encoder in float32": lambda model: model.model.visual.patch_embed.register_forward_hook(lambda *call: call[-1].float()),
}


def variant(change):
    system = arms.System(arms.ARMS["text"])
    change(system.backbone)
    return system


def key_biases(vectors) -> torch.Tensor:
    return torch.cat([value for key, value in sorted(vectors.items()) if key.startswith("updated/") and key.endswith("k_proj.bias")])


def distance(found, expected) -> float:
    return float((found.double() - expected.double()).norm() / expected.double().norm())


def own_distances(prompt, prepared) -> dict[str, dict[str, float]]:
    """Of every variant to plain autocast: logits after the prompt, and all key biases after the first step."""
    context = PRECISIONS["bfloat16"]
    measure = lambda change: answer(variant(change), prompt, context) | steps(variant(change), prepared, context)
    plain = measure(lambda model: None)
    found = {name: measure(change) for name, change in VARIANTS.items()}
    return {
        "logits": {name: distance(other["logits"][0], plain["logits"][0]) for name, other in found.items()},
        "keyBiases": {name: distance(key_biases(other), key_biases(plain)) for name, other in found.items()},
    }


def steps(system, prepared, context) -> dict[str, torch.Tensor]:
    trained = {n: p for n, p in system.published().items() if p.requires_grad}
    decayed = arms.decay_names(system)
    groups = [
        {"params": [p for n, p in trained.items() if arms.group_of(n) == g and (n in decayed) == decays], "lr": lr} | ({} if decays else {"weight_decay": 0.0})
        for g, lr in arms.RATES.items() for decays in (True, False)
    ]
    optimizer = torch.optim.AdamW([g for g in groups if g["params"]], **arms.ADAMW)
    schedule = get_cosine_schedule_with_warmup(optimizer, 0, STEPS)
    losses, norms, vectors = [], [], {}
    for step in range(STEPS):
        optimizer.zero_grad()
        with context():
            total = sum(system.losses(*given, None)["text"] for given in prepared) / len(prepared)
        total.backward()
        norms.append(float(torch.nn.utils.clip_grad_norm_(trained.values(), 1.0)))
        gradients = {n: p.grad.clone() for n, p in trained.items()}
        optimizer.step()
        schedule.step()
        losses.append(float(total.detach()))
        if step == 0:
            vectors = {f"updated/{n}": arms.spread(p) for n, p in trained.items()}
            vectors |= {f"gradient/{n}": arms.spread(g) for n, g in gradients.items()}
    return vectors | {"losses": torch.tensor(losses), "norms": torch.tensor(norms)}


def answer(system, prompt, context) -> dict[str, torch.Tensor]:
    """Greedy, the whole sequence again at every token: no cache that could keep another type."""
    ids, logits = prompt["input_ids"], []
    with torch.no_grad(), context():
        for _ in range(TOKENS):
            given = prompt | {"input_ids": ids, "attention_mask": torch.ones_like(ids), "mm_token_type_ids": (ids == system.backbone.config.image_token_id).int()}
            logits.append(system.backbone(**given).logits[0, -1].float())
            ids = torch.cat([ids, logits[-1].argmax()[None, None]], 1)
    return {"logits": torch.stack(logits), "ids": ids[0, -TOKENS:].int(), "prompt": prompt["input_ids"][0].int()}


def main():
    processor = arms.qwen.make_processor()
    samples = [i for i, text in enumerate(arms.TEXTS) if text is not None]
    prepared = [arms.prepare(processor, i) for i in samples]
    inputs, _, labels = prepared[0]
    length = int((labels[0] == -100).sum())
    prompt = dict(inputs) | {"input_ids": inputs["input_ids"][:, :length]}
    vectors = {}
    for name, context in PRECISIONS.items():
        found = answer(arms.System(arms.ARMS["text"]), prompt, context) | steps(arms.System(arms.ARMS["text"]), prepared, context)
        vectors |= {f"{name}/{key}": value.contiguous() for key, value in found.items()}
        print(name, found["losses"], found["norms"], found["ids"])
    FOLDER.mkdir(parents=True, exist_ok=True)
    save_file(vectors, FOLDER / "vectors.safetensors")
    record = {
        "script": "reference/train/autocast_golden.py",
        "reference": "transformers Qwen2_5_VLForConditionalGeneration (eager) under torch.autocast('cpu', torch.bfloat16), torch.optim.AdamW",
        "versions": {"torch": torch.__version__, "transformers": transformers.__version__, "python": platform.python_version()},
        "checkpoint": "packages/adapter-qwen25vl/src/__golden__/checkpoint; weights by reference/heads/fill.py; images of packages/cli/src/__golden__/train-arms",
        "steps": STEPS,
        "samples": arms.SAMPLES,
        "tolerance": {"precision": 1e-2, "why": "two orders of sums round some results of a product to neighbours, 2^-8 apart"},
        "ownDistances": own_distances(prompt, prepared),
    }
    (FOLDER / "case.json").write_text(json.dumps(record, indent=2) + "\n")


if __name__ == "__main__":
    main()
