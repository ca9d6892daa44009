"""Golden vectors of training with low-rank updates: PEFT around the language model of transformers, losses and AdamW of PyTorch.

Run from the repository root, with `peft` beside the packages of reference/requirements.txt: python3 reference/train/lora.py
The model is that of packages/train/src/testing/toy-backbone.ts: a linear projector and two blocks.
"""

import json
import pathlib
import platform

import peft
import torch
import transformers
from safetensors.torch import save_file

SEED = 11
STEPS = 20
FOLDER = pathlib.Path("packages/train/src/__golden__/lora")
SETTINGS = dict(rank=4, alpha=6.0, rates={"languageModel": 1e-2, "projector": 5e-3}, weight_decay=0.01, clip=0.5)
CELLS, CHANNELS, TOKENS = 4, 6, 24
# Two samples: number of tokens, and how many of the last are targets.
SAMPLES = [(20, 6), (24, 9)]


class Toy(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.visual = torch.nn.ModuleDict({"merger": torch.nn.Linear(CHANNELS, 16, bias=False)})
        config = transformers.Qwen2Config(
            hidden_size=16, num_hidden_layers=2, num_attention_heads=2, num_key_value_heads=1, head_dim=8,
            intermediate_size=24, vocab_size=40, rms_norm_eps=1e-6, tie_word_embeddings=False,
            rope_parameters={"rope_type": "default", "rope_theta": 1e4}, attn_implementation="eager",
        )
        self.lm = transformers.Qwen2ForCausalLM(config)

    def forward(self, ids, features, labels):
        rows = self.visual["merger"](features)
        embedded = torch.cat([rows, self.lm.model.embed_tokens(ids[CELLS:])])[None]
        logits = self.lm(inputs_embeds=embedded).logits[0]
        return torch.nn.functional.cross_entropy(logits[:-1], labels[1:], ignore_index=-100)


def published(name):
    return name.removeprefix("base_model.model.").replace(".default", "").replace(".base_layer", "").removeprefix("lm.")


def randomise(model, generator):
    with torch.no_grad():
        for name, value in model.named_parameters():
            value.copy_(torch.randn(value.shape, generator=generator) * 0.2 + ("norm" in name) * 1.0)


def make_samples(generator):
    samples = []
    for tokens, targets in SAMPLES:
        ids = torch.randint(3, 40, (tokens,), generator=generator)
        labels = ids.clone()
        labels[: tokens - targets] = -100
        samples.append((ids, torch.randn(CELLS, CHANNELS, generator=generator), labels))
    return samples


def main():
    torch.manual_seed(SEED)
    generator = torch.Generator().manual_seed(SEED)
    base = Toy().eval()
    randomise(base, generator)
    weights = {f"base.{published(k)}": v.detach().clone() for k, v in base.named_parameters()}
    samples = make_samples(generator)
    config = peft.LoraConfig(
        r=SETTINGS["rank"], lora_alpha=SETTINGS["alpha"], lora_dropout=0.0,
        target_modules=r".*(_proj|merger)",
    )
    model = peft.get_peft_model(base, config)
    trained = {published(k): v for k, v in model.named_parameters() if v.requires_grad}
    start = {f"start.{k}": v.detach().clone() for k, v in trained.items()}
    rates = SETTINGS["rates"]
    groups = [
        {"params": [v for k, v in trained.items() if k.startswith("visual") == visual], "lr": rates[which]}
        for which, visual in (("languageModel", False), ("projector", True))
    ]
    optimizer = torch.optim.AdamW(groups, weight_decay=SETTINGS["weight_decay"], foreach=False)
    losses, after = [], {}
    for step in range(STEPS):
        optimizer.zero_grad()
        values = [model(*sample) for sample in samples]
        (sum(values) / len(values)).backward()
        torch.nn.utils.clip_grad_norm_(list(trained.values()), SETTINGS["clip"])
        optimizer.step()
        losses.append(torch.stack([value.detach() for value in values]))
        if step in (0, STEPS - 1):
            after |= {f"after.{step + 1}.{k}": v.detach().clone() for k, v in trained.items()}
    tensors = weights | start | after | {"losses": torch.stack(losses)}
    for index, (ids, features, labels) in enumerate(samples):
        tensors |= {f"sample.{index}.ids": ids.int(), f"sample.{index}.labels": labels.int()}
        tensors[f"sample.{index}.features"] = features
    FOLDER.mkdir(parents=True, exist_ok=True)
    save_file({k: v.contiguous() for k, v in tensors.items()}, FOLDER / "vectors.safetensors")
    record = {
        "script": "reference/train/lora.py",
        "reference": "peft.get_peft_model over transformers.Qwen2ForCausalLM and a linear projector, torch.optim.AdamW, clip_grad_norm_",
        "versions": {
            "torch": torch.__version__, "transformers": transformers.__version__, "peft": peft.__version__,
            "python": platform.python_version(),
        },
        "seed": SEED, "steps": STEPS, "dtype": "float32", **SETTINGS,
        "tolerance": {
            "step": 1e-4, "curve": 1e-3,
            "why": "float32; AdamW divides by moments near 0 in its first steps, which enlarges rounding",
        },
    }
    (FOLDER / "case.json").write_text(json.dumps(record, indent=2) + "\n")
    print(len(trained), "trained tensors, losses", losses[0].tolist(), "→", losses[-1].tolist())


main()
