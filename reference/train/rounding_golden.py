"""Golden step in bfloat16 that agrees to the last digits: autocast of PyTorch, but for what we round elsewhere by design.

usage: python reference/train/rounding_golden.py   (as reference/train/arms_golden.py; writes packages/cli/src/__golden__/rounding)

Rounding to 8 bits makes of a difference d, small beside the distance s of neighbours, one of about sqrt(d s): a few products behind
the first value that is rounded at another place, two programs in bfloat16 are as far from each other as from float32 (docs/precision.md).
So this reference rounds where we do, and its model answers to rounding: three times the usual weights of queries and keys make
the scores of attention large. What differs from plain `torch.autocast` is below, each with its reason.
"""

import contextlib
import json
import platform
import shutil
import tempfile
from pathlib import Path

import arms_golden as arms
import torch
import transformers
from safetensors.torch import save_file
from transformers import AutoConfig
from transformers.models.qwen2_5_vl import modeling_qwen2_5_vl as modeling

FOLDER = arms.REFERENCE.parent / "packages/cli/src/__golden__/rounding"
MODEL = {"layers": 2, "visionBlocks": 1, "gain": 3.0}
SAMPLES = 48
LOGITS = 512
TOKENS = 6
NARROW = torch.bfloat16

plain_attention, plain_rotary = modeling.eager_attention_forward, modeling.apply_rotary_pos_emb


class Attention(torch.autograd.Function):
    """One operation, as in a fused kernel: query heads that share keys are rows of one product, and the gradient takes the sums of
    P * dP from the output (FlashAttention, arXiv:2205.14135, algorithm 4)."""

    @staticmethod
    def forward(ctx, queries, keys, values, mask, scale):
        queries, keys, values = (x.to(NARROW) for x in (queries, keys, values))
        batch, heads, rows, _ = queries.shape
        queries = queries.reshape(batch, keys.shape[1], -1, queries.shape[3])
        scores = (queries @ keys.mT * scale).float().reshape(batch, heads, rows, -1)
        weights = (scores if mask is None else scores + mask).softmax(-1).reshape(*queries.shape[:3], -1)
        output = weights.to(NARROW) @ values
        ctx.save_for_backward(queries, keys, values, weights, output)
        ctx.scale = scale
        return output.reshape(batch, heads, rows, -1)

    @staticmethod
    def backward(ctx, gradient):
        queries, keys, values, weights, output = ctx.saved_tensors
        shape = gradient.shape
        gradient = gradient.to(NARROW).reshape(output.shape)
        sums = (gradient.float() * output.float()).sum(-1, keepdim=True)
        scores = (weights * ((gradient @ values.mT).float() - sums)).to(NARROW)
        of_queries, of_keys = scores @ keys * ctx.scale, scores.mT @ queries * ctx.scale
        return of_queries.float().reshape(*shape[:3], -1), of_keys.float(), weights.to(NARROW).mT @ gradient, None, None


def attention(module, query, key, value, attention_mask, scaling, **_):
    with torch.autocast("cpu", enabled=False):
        output = Attention.apply(query, key, value, attention_mask, scaling)
    return output.transpose(1, 2).contiguous(), None


class InFloat32(torch.nn.Module):
    """An activation between two products; autocast computes it in 16 bits."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x):
        return self.function(x.float())


def round_as_declared(model) -> None:
    visual = model.model.visual
    # The residual stream: under autocast that of the vision encoder has the type of its first product.
    visual.patch_embed.register_forward_hook(lambda *call: call[-1].float())
    for module in model.modules():
        if hasattr(module, "act_fn"):
            module.act_fn = InFloat32(module.act_fn)
    visual.merger.mlp[1] = InFloat32(visual.merger.mlp[1])


@contextlib.contextmanager
def bfloat16():
    modeling.eager_attention_forward = attention
    # One rounding of the gradient, not one for each of its two summands.
    modeling.apply_rotary_pos_emb = lambda q, k, *rest: plain_rotary(q.float(), k.float(), *rest)
    try:
        with torch.autocast("cpu", dtype=NARROW):
            yield
    finally:
        modeling.eager_attention_forward, modeling.apply_rotary_pos_emb = plain_attention, plain_rotary


def configuration() -> AutoConfig:
    with tempfile.TemporaryDirectory() as folder:
        shutil.copytree(arms.qwen.FOLDER, folder, dirs_exist_ok=True)
        path = Path(folder) / "config.json"
        config = json.loads(path.read_text())
        config |= {"num_hidden_layers": MODEL["layers"], "max_window_layers": MODEL["layers"]}
        config["vision_config"] |= {"depth": MODEL["visionBlocks"], "fullatt_block_indexes": [MODEL["visionBlocks"] - 1]}
        path.write_text(json.dumps(config))
        return AutoConfig.from_pretrained(folder)


def make_model(config):
    model = modeling.Qwen2_5_VLForConditionalGeneration._from_config(config, attn_implementation="eager").eval().float()
    for name, parameter in model.named_parameters():
        published = arms.qwen.published(name)
        gain = MODEL["gain"] if "q_proj" in name or "k_proj" in name else 1
        parameter.data = (gain * arms.fill(published, parameter.shape)).float()
        parameter.requires_grad_(not published.startswith("visual.") or published.startswith("visual.merger."))
    return model


def spread(values: torch.Tensor, count: int) -> torch.Tensor:
    flat = values.detach().float().reshape(-1)
    return flat.clone() if len(flat) <= 2 * count else flat[(torch.arange(count) * len(flat)) // count]


def step(model, prepared, context) -> dict[str, torch.Tensor]:
    """Every sample by itself: within one context, autocast would add up the gradients of all in 16 bits."""
    losses = []
    for inputs, _, labels in prepared:
        with context():
            loss = model(**inputs, labels=labels).loss
        loss.backward()
        losses.append(float(loss.detach()))
    gradients = {arms.qwen.published(n): p.grad / len(prepared) for n, p in model.named_parameters() if p.requires_grad}
    return {"loss": torch.tensor([sum(losses) / len(losses)])} | {f"gradient/{n}": spread(g, SAMPLES) for n, g in gradients.items()}


def answer(model, prompt, context) -> dict[str, torch.Tensor]:
    """Logits of the prompt, and the greedy answer: the whole sequence again at every token."""
    ids, logits = prompt["input_ids"], []
    with torch.no_grad(), context():
        for _ in range(TOKENS):
            types = (ids == model.config.image_token_id).int()
            logits.append(model(**prompt | {"input_ids": ids, "attention_mask": torch.ones_like(ids), "mm_token_type_ids": types}).logits[0])
            ids = torch.cat([ids, logits[-1][-1].argmax()[None, None]], 1)
    return {"logits": spread(logits[0], LOGITS), "ids": ids[0, -TOKENS:].int()}


def main():
    processor = arms.qwen.make_processor()
    prepared = [arms.prepare(processor, i) for i, text in enumerate(arms.TEXTS) if text is not None]
    inputs, _, labels = prepared[0]
    prompt = dict(inputs) | {"input_ids": inputs["input_ids"][:, : int((labels[0] == -100).sum())]}
    config, vectors = configuration(), {}
    for name, context in {"float32": contextlib.nullcontext, "bfloat16": bfloat16}.items():
        model = make_model(config)
        if name == "bfloat16":
            round_as_declared(model)
        found = answer(model, prompt, context) | step(model, prepared, context)
        vectors |= {f"{name}/{key}": value.contiguous() for key, value in found.items()}
        print(name, found["loss"], found["ids"])
    distances = {key: float((vectors[f"float32/{key}"] - value).norm() / value.norm()) for key, value in found.items() if key not in ("ids", "loss")}
    print("float32 is nearest in", sorted(distances.items(), key=lambda item: item[1])[:4])
    FOLDER.mkdir(parents=True, exist_ok=True)
    save_file(vectors, FOLDER / "vectors.safetensors")
    record = {
        "script": "reference/train/rounding_golden.py",
        "reference": "transformers Qwen2_5_VLForConditionalGeneration (eager) under torch.autocast('cpu', torch.bfloat16), with residual stream, activations and rotary positions in float32 and attention as one operation",
        "versions": {"torch": torch.__version__, "transformers": transformers.__version__, "python": platform.python_version()},
        "checkpoint": "packages/adapter-qwen25vl/src/__golden__/checkpoint with other numbers of layers; weights by reference/heads/fill.py, those of queries and keys times the gain; images of packages/cli/src/__golden__/train-arms",
        "model": MODEL,
        "samples": {"gradient": SAMPLES, "logits": LOGITS},
        "tolerance": {"precision": 1e-2, "float32": 3e-2, "why": "‖difference‖ / ‖expected‖: at most the first from bfloat16, at least the second from float32, which this golden has to tell apart"},
    }
    (FOLDER / "case.json").write_text(json.dumps(record, indent=2, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
