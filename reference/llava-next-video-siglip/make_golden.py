"""Golden vectors of LLaVA-NeXT-Video with SigLIP and Qwen2 (CPU, float32, eager attention), from stock parts; see model.py.

usage: node reference/llava-next-video/write_folders.mjs   (once; writes the tokenizer folders with our own code)
       python reference/llava-next-video-siglip/make_golden.py
"""

import json
import sys
from pathlib import Path

import numpy as np
import torch
from transformers import AutoTokenizer

REFERENCE = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(REFERENCE / "backbones"))
from golden import (  # noqa: E402
    ANSWER,
    QUESTION,
    STEPS,
    VIEWS,
    cut_patches,
    fill_model,
    gradient_vectors,
    provenance,
    sampled,
    save_images,
    text_loss,
    write_case,
)
from model import LlavaQwen  # noqa: E402

SOURCE = REFERENCE.parent / "packages/adapter-llava/src"
ROOT = SOURCE / "next-video-siglip/__golden__"
FOLDER = ROOT / "checkpoint"
CHECKED_GRADIENTS = (
    "model.mm_projector.",
    "model.image_newline",
    "model.layers.0.",
    "model.layers.3.",
    "model.embed_tokens.weight",
    "model.norm.weight",
    "lm_head.weight",
)
PENALTY = 1.3
# Pooling and newlines beside those of the published model, on two views.
OTHER_CASES = (("average", "frame"), ("max", "one_token"), ("bilinear", "no_token"))


def prompt(system="You are a helpful assistant.") -> str:
    """The conversation `qwen_1_5`."""
    return (
        f"<|im_start|>system\n{system}<|im_end|>\n<|im_start|>user\n<image>\n{QUESTION}<|im_end|>\n"
        "<|im_start|>assistant\n"
    )


def make_case(name: str, names: list[str], images, tokenizer, pool="bilinear", newline="grid") -> None:
    config = json.loads((FOLDER / "config.json").read_text())
    config |= {"mm_spatial_pool_mode": pool, "mm_newline_position": newline}
    model = LlavaQwen(config).eval().float()
    fill_model(model.published())
    pixels = model.pixels([images[name] for name in names])
    before, question = (tokenizer(text)["input_ids"] for text in prompt().split("<image>"))
    answer = tokenizer(f"{ANSWER}<|im_end|>\n")["input_ids"]
    with torch.no_grad():
        states = model.vision_states(pixels)
        rows = model.visual_rows(pixels)
    placeholder = tokenizer.convert_tokens_to_ids("<|im_end|>")
    prompt_ids = [*before, *[placeholder] * len(rows), *question]
    input_ids = torch.tensor([*prompt_ids, *answer])
    labels = torch.tensor([-100] * len(prompt_ids) + answer)
    model.zero_grad()
    embeddings = model.embeddings(before, model.visual_rows(pixels), [*question, *answer])
    out = model.decoder(inputs_embeds=embeddings, output_hidden_states=True)
    loss = text_loss(out.logits[0], labels)
    loss.backward()
    generate = lambda **more: model.decoder.generate(
        inputs_embeds=model.embeddings(before, rows, question),
        attention_mask=torch.ones(1, len(prompt_ids), dtype=torch.long),
        max_new_tokens=STEPS,
        min_new_tokens=STEPS,
        do_sample=False,
        **more,
    )
    with torch.no_grad():
        greedy = generate(output_logits=True, return_dict_in_generate=True)
        penalised = generate(repetition_penalty=PENALTY)
    patches = cut_patches(pixels, config["vision_config"]["patch_size"])
    flat = lambda x: x.detach().reshape(-1, x.shape[-1]).numpy()
    vectors = {
        "input_ids": input_ids.numpy().astype(np.int32),
        "labels": labels.numpy().astype(np.int32),
        **{f"pixels.{i}": view for i, view in enumerate(patches)},
        **{f"vision.{i}": flat(state) for i, state in enumerate(states)},
        "projector": rows.numpy(),
        **{f"hidden.{i}": flat(state) for i, state in enumerate(out.hidden_states)},
        "logits": flat(out.logits),
        "loss": loss.detach().numpy().reshape(1),
        **gradient_vectors(model.published(), lambda key: key.startswith(CHECKED_GRADIENTS)),
        "greedy_ids": greedy.sequences[0].numpy().astype(np.int32),
        "greedy_logits": torch.cat(greedy.logits).numpy(),
    }
    case = provenance(
        "reference/llava-next-video-siglip/make_golden.py",
        "SiglipVisionModel and Qwen2ForCausalLM of transformers, joined as LLaVA-VL/LLaVA-NeXT joins them",
    )
    case |= {
        "config": {"mm_spatial_pool_mode": pool, "mm_newline_position": newline},
        "images": [f"../../../shared/__golden__/{name}.png" for name in names],
        "promptLength": len(prompt_ids),
        "penalised": {"penalty": PENALTY, "ids": penalised[0].tolist()},
    }
    write_case(ROOT / name, case, sampled(vectors))


if __name__ == "__main__":
    torch.manual_seed(0)
    files = save_images(SOURCE / "shared/__golden__")
    stock = AutoTokenizer.from_pretrained(FOLDER)
    for count, chosen in VIEWS.items():
        make_case(f"views-{count}", chosen, files, stock)
    for mode, position in OTHER_CASES:
        make_case(f"{mode}-{position}", VIEWS[2], files, stock, mode, position)
