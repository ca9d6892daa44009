"""Golden vectors of LLaVA-OneVision-1.5 from stock classes of transformers (CPU, float32, eager attention).

usage: node reference/llava-onevision/write_folders.mjs   (once; writes the tokenizer folders with our own code)
       python reference/llava-onevision-15/make_golden.py
"""

import sys
from pathlib import Path

import numpy as np
import torch

REFERENCE = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(REFERENCE / "backbones"))
from golden import ANSWER, QUESTION, STEPS, VIEWS, fill, provenance, sampled, save_images, text_loss, write_case  # noqa: E402
from model import OneVision15, load, make_images, make_tokenizer, published, read_config, split_qkv  # noqa: E402

SOURCE = REFERENCE.parent / "packages/adapter-llava/src"
ROOT = SOURCE / "onevision-15/__golden__"
FOLDER = ROOT / "checkpoint"
# Rotary tables are constants of the engine, so that the angles of the class token, which is frozen, have no gradient.
CHECKED = ("visual.merger.", "visual.class_embedding", "model.layers.0.", "model.layers.3.", "model.embed", "model.norm", "lm_head.")


def prompt_ids(tokenizer, processed) -> list[int]:
    content = [{"type": "image"}] * len(processed) + [{"type": "text", "text": QUESTION}]
    text = tokenizer.apply_chat_template([{"role": "user", "content": content}], add_generation_prompt=True, tokenize=False)
    parts = text.split("<|image_pad|>")
    for (_, grid), part in zip(processed, parts[1:], strict=True):
        parts[0] += "<|image_pad|>" * (int(grid[1]) * int(grid[2]) // 4) + part
    return tokenizer(parts[0])["input_ids"]


def gradients_of(model: OneVision15, loss: torch.Tensor) -> dict[str, np.ndarray]:
    loss.backward()
    named = {published(name): parameter.grad for name, parameter in model.named_parameters()}
    return {f"gradient.{n}": named[n].numpy() for n in sorted(named) if n.startswith(CHECKED) and split_qkv(n) is None}


def make_case(model: OneVision15, tokenizer, images, views: int) -> None:
    processor = make_images(FOLDER)
    outs = [processor(images=[images[n]], return_tensors="pt") for n in VIEWS[views]]
    processed = [(out["pixel_values"], out["image_grid_thw"][0]) for out in outs]
    prompt = prompt_ids(tokenizer, processed)
    ids = torch.tensor(prompt + tokenizer(ANSWER + "<|im_end|>\n")["input_ids"])
    labels = ids.clone()
    labels[: len(prompt)] = -100
    model.zero_grad()
    encoded = [model.encode(*view) for view in processed]
    rows = torch.cat([merged for _, merged in encoded])
    embeddings = model.embed(ids, rows)
    out = model.language(inputs_embeds=embeddings, output_hidden_states=True)
    loss = text_loss(out.logits[0], labels)
    grads = gradients_of(model, loss)
    with torch.no_grad():
        greedy = model.language.generate(
            inputs_embeds=embeddings[:, : len(prompt)].detach(),
            max_new_tokens=STEPS, min_new_tokens=STEPS, do_sample=False, output_logits=True, return_dict_in_generate=True,
        )  # fmt: skip
    blocks = range(len(encoded[0][0]))
    vectors = {
        "input_ids": ids.numpy().astype(np.int32),
        "labels": labels.numpy().astype(np.int32),
        **{f"pixels.{i}": patches.numpy() for i, (patches, _) in enumerate(processed)},
        **{f"vision.{k}": torch.cat([states[k] for states, _ in encoded]).detach().numpy() for k in blocks},
        "projector": rows.detach().numpy(),
        **{f"hidden.{k}": h[0].detach().numpy() for k, h in enumerate(out.hidden_states)},
        "logits": out.logits[0].detach().numpy(),
        "loss": loss.detach().numpy().reshape(1),
        **grads,
        "greedy_ids": greedy.sequences[0].numpy().astype(np.int32),
        "greedy_logits": torch.cat(greedy.logits).numpy(),
    }
    case = provenance(
        "reference/llava-onevision-15/make_golden.py",
        "MLCDVisionModel, Qwen3ForCausalLM and the image processor of Qwen2-VL of transformers, joined; images one by one",
    )
    case |= {"images": [f"../../../shared/__golden__/{n}.png" for n in VIEWS[views]], "promptLength": len(prompt)}
    write_case(ROOT / f"views-{views}", case, sampled(vectors))


if __name__ == "__main__":
    torch.manual_seed(0)
    files = save_images(SOURCE / "shared/__golden__")
    model = load(OneVision15(read_config(FOLDER)), lambda key, shape: torch.from_numpy(fill(key, shape)))
    for count in VIEWS:
        make_case(model, make_tokenizer(FOLDER), files, count)
