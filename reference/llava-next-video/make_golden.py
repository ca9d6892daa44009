"""Golden vectors of LLaVA-NeXT-Video from Hugging Face transformers (CPU, float32, eager attention).

usage: node reference/llava-next-video/write_folders.mjs   (once; writes the tokenizer folders with our own code)
       python reference/llava-next-video/make_golden.py

Frames are those of CLIP's image processor with Pillow's resampling, which the original code uses; the video processor of
transformers resamples with torchvision.
"""

import json
import shutil
import sys
from pathlib import Path

import numpy as np
import torch
from transformers import AutoConfig, AutoTokenizer, LlavaNextVideoForConditionalGeneration
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

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
from native_names import parameters  # noqa: E402

SOURCE = REFERENCE.parent / "packages/adapter-llava/src"
ROOT = SOURCE / "next-video/__golden__"
FOLDER = ROOT / "checkpoint"
CHECKED_GRADIENTS = (
    "multi_modal_projector.",
    "language_model.model.layers.0.",
    "language_model.model.layers.3.",
    "language_model.model.embed_tokens.weight",
    "language_model.model.norm.weight",
    "language_model.lm_head.weight",
)
TEXTS = ["Which object?", "it's 12.5 m\n\n  away", "Ünïcode 漢字 🙂\r\n\t x"]


def make_model(config) -> LlavaNextVideoForConditionalGeneration:
    model = LlavaNextVideoForConditionalGeneration._from_config(config, attn_implementation="eager").eval().float()
    fill_model(parameters(model))
    return model


def make_pixels(images) -> torch.Tensor:
    """(V, 3, H, W)."""
    processor = CLIPImageProcessorPil.from_pretrained(FOLDER)
    return torch.cat([processor(images=[image], return_tensors="pt")["pixel_values"] for image in images])


def prompt(tokenizer, views: int, system=None) -> str:
    content = [*([{"type": "video"}] if views else []), {"type": "text", "text": QUESTION}]
    text = tokenizer.apply_chat_template([{"role": "user", "content": content}], add_generation_prompt=True, tokenize=False)
    return text if system is None else f"{system} {text}"


def with_rows(text: str, rows: int) -> str:
    """A placeholder for every visual row, as the processor of transformers writes them."""
    return text.replace("<video>", "<video>" * rows)


def vision_states(model, pixels) -> list[torch.Tensor]:
    """What enters the first block, and the output of each block that runs, (V, P, C), without the class token."""
    states = model.model.vision_tower(pixels, output_hidden_states=True).hidden_states
    return [state[:, 1:] for state in states[: model.config.vision_feature_layer + 1 or None]]


def make_case(names: list[str], images, tokenizer) -> None:
    config = AutoConfig.from_pretrained(FOLDER)
    model = make_model(config)
    pixels = make_pixels([images[name] for name in names])
    with torch.no_grad():
        states = vision_states(model, pixels)
        rows = torch.cat(list(model.get_video_features(pixels[None], vision_feature_layer=-2, vision_feature_select_strategy="default").pooler_output))
    flat = lambda x: x.detach().reshape(-1, x.shape[-1]).numpy()
    text = with_rows(prompt(tokenizer, len(names)), flat(rows).shape[0])
    prompt_length = len(tokenizer(text)["input_ids"])
    input_ids = tokenizer(f"{text} {ANSWER}</s>", return_tensors="pt")["input_ids"]
    labels = input_ids[0].clone()
    labels[:prompt_length] = -100
    model.zero_grad()
    out = model(input_ids=input_ids, pixel_values_videos=pixels[None], output_hidden_states=True)
    loss = text_loss(out.logits[0], labels)
    loss.backward()
    with torch.no_grad():
        greedy = model.generate(
            input_ids=input_ids[:, :prompt_length],
            attention_mask=torch.ones(1, prompt_length, dtype=torch.long),
            pixel_values_videos=pixels[None],
            max_new_tokens=STEPS,
            min_new_tokens=STEPS,
            do_sample=False,
            output_logits=True,
            return_dict_in_generate=True,
        )
    vectors = {
        "input_ids": input_ids[0].numpy().astype(np.int32),
        "labels": labels.numpy().astype(np.int32),
        **{f"pixels.{i}": view for i, view in enumerate(cut_patches(pixels, config.vision_config.patch_size))},
        **{f"vision.{i}": flat(state) for i, state in enumerate(states)},
        "projector": flat(rows),
        **{f"hidden.{i}": flat(state) for i, state in enumerate(out.hidden_states)},
        "logits": flat(out.logits),
        "loss": loss.detach().numpy().reshape(1),
        **gradient_vectors(parameters(model), lambda key: key.startswith(CHECKED_GRADIENTS)),
        "greedy_ids": greedy.sequences[0, prompt_length:].numpy().astype(np.int32),
        "greedy_logits": torch.cat(greedy.logits).numpy(),
    }
    case = made_by() | {
        "images": [f"../../../shared/__golden__/{name}.png" for name in names],
        "promptLength": prompt_length,
    }
    write_case(ROOT / f"views-{len(names)}", case, sampled(vectors))


def made_by() -> dict:
    return provenance(
        "reference/llava-next-video/make_golden.py",
        "huggingface/transformers, models/llava_next_video, LlavaNextVideoForConditionalGeneration",
    )


def make_texts(tokenizer) -> None:
    """Prompts and their ids, with a placeholder for the whole video; other texts as answers."""
    prompts = []
    for system in (None, "Be brief."):
        for views in (0, 1):
            text = prompt(tokenizer, views, system)
            prompts.append({"system": system, "views": views, "text": text, "ids": tokenizer(text)["input_ids"]})
    encoded = [{"text": text, "ids": tokenizer(text, add_special_tokens=False)["input_ids"]} for text in TEXTS]
    case = made_by() | {"prompts": prompts, "encoded": encoded}
    (ROOT / "texts.json").write_text(json.dumps(case, indent=2, ensure_ascii=False) + "\n")


def make_saved() -> None:
    """A folder as transformers itself saves it: 5.x config.json, bfloat16, several shards."""
    config = AutoConfig.from_pretrained(FOLDER)
    config.text_config.update({"hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 1, "num_attention_heads": 2, "num_key_value_heads": 2, "head_dim": 8})
    config.vision_config.update({"hidden_size": 8, "intermediate_size": 12, "num_attention_heads": 1, "num_hidden_layers": 2})
    folder = ROOT / "saved-by-transformers"
    shutil.rmtree(folder, ignore_errors=True)
    make_model(config).to(torch.bfloat16).save_pretrained(folder, max_shard_size="20KB")
    # Read again: the cast above also rounded the rotary frequencies of the model in memory.
    model = LlavaNextVideoForConditionalGeneration.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager")
    (folder / "generation_config.json").unlink(missing_ok=True)
    ids = torch.arange(40, 60)[None]
    with torch.no_grad():
        logits = model(input_ids=ids).logits[0]
    case = made_by() | {"dtype": "bfloat16 weights, float32 computation", "inputIds": ids[0].tolist()}
    write_case(folder, case, {"logits": logits[-2:].numpy()})


if __name__ == "__main__":
    torch.manual_seed(0)
    files = save_images(SOURCE / "shared/__golden__")
    stock = AutoTokenizer.from_pretrained(FOLDER)
    make_texts(stock)
    for chosen in VIEWS.values():
        make_case(chosen, files, stock)
    make_saved()
