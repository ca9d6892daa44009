"""Golden vectors of LLaVA-OneVision from Hugging Face transformers (CPU, float32, eager attention).

usage: node reference/llava-onevision/write_folders.mjs   (once; writes the tokenizer folders with our own code)
       python reference/llava-onevision/make_golden.py

Frames are resampled with Pillow, as images are; the video processor of transformers resamples with torchvision.
"""

import json
import sys
from pathlib import Path

import numpy as np
import torch
from transformers import AutoConfig, AutoTokenizer, LlavaOnevisionForConditionalGeneration, LlavaOnevisionProcessor
from transformers.image_processing_utils import select_best_resolution
from transformers.models.llava_onevision.image_processing_pil_llava_onevision import LlavaOnevisionImageProcessorPil

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
ROOT = SOURCE / "onevision/__golden__"
FOLDER = ROOT / "checkpoint"
# Single images as tiles: with a border at either side, without one, and with a grid that is made smaller.
SINGLE = ["wide", "tall", "tiny", "square", "large"]
# How views are cut changes nothing behind the projector, so that one case has all gradients.
PROJECTOR_GRADIENTS = ("multi_modal_projector.", "image_newline")
CHECKED_GRADIENTS = (
    *PROJECTOR_GRADIENTS,
    "language_model.model.layers.0.",
    "language_model.model.layers.3.",
    "language_model.model.embed_tokens.weight",
    "language_model.model.norm.weight",
    "language_model.lm_head.weight",
)
TEXTS = ["Which object?", "it's 12.5 m\n\n  away", "Ünïcode 漢字 🙂\r\n\t x"]


class StillImageProcessor(LlavaOnevisionProcessor):
    """The stock processor without its video part, which needs torchvision."""

    def check_argument_for_proper_class(self, argument_name, argument):
        return None if argument is None else super().check_argument_for_proper_class(argument_name, argument)


def make_processor(tokenizer) -> StillImageProcessor:
    settings = json.loads((FOLDER / "processor_config.json").read_text())
    kept = ("num_image_tokens", "vision_feature_select_strategy", "vision_aspect_ratio", "image_token", "video_token")
    return StillImageProcessor(
        image_processor=LlavaOnevisionImageProcessorPil.from_pretrained(FOLDER),
        tokenizer=tokenizer,
        video_processor=None,
        chat_template=tokenizer.chat_template,
        **{key: settings[key] for key in kept},
    )


def make_model() -> LlavaOnevisionForConditionalGeneration:
    config = AutoConfig.from_pretrained(FOLDER)
    model = LlavaOnevisionForConditionalGeneration._from_config(config, attn_implementation="eager").eval().float()
    fill_model(parameters(model))
    return model


def prompt(tokenizer, kind: str, places: int, system=None) -> str:
    content = [{"type": kind}] * places + [{"type": "text", "text": QUESTION}]
    head = [] if system is None else [{"role": "system", "content": [{"type": "text", "text": system}]}]
    return tokenizer.apply_chat_template([*head, {"role": "user", "content": content}], add_generation_prompt=True, tokenize=False)


def image_inputs(processor, shown) -> tuple[dict, list[torch.Tensor]]:
    """Inputs of the model, and (S, 3, H, W) pixels of each view. The images of one conversation are one list."""
    text = prompt(processor.tokenizer, "image", len(shown))
    inputs = processor(text=[text], images=[shown], return_tensors="pt")
    return dict(inputs), list(inputs["pixel_values"])


def video_inputs(processor, shown) -> tuple[dict, list[torch.Tensor]]:
    frames = [processor.image_processor(images=[image], return_tensors="pt")["pixel_values"][0, :1] for image in shown]
    text = prompt(processor.tokenizer, "video", 1)
    videos = {"pixel_values_videos": torch.stack([torch.cat(frames)])}
    rows = processor.replace_video_token(videos, 0)
    return {**videos, **processor.tokenizer(text.replace("<video>", rows), return_tensors="pt")}, frames


def visual_rows(model, inputs) -> torch.Tensor:
    chosen = {"vision_feature_layer": -1, "vision_feature_select_strategy": "full"}
    if "pixel_values_videos" in inputs:
        return model.get_video_features(inputs["pixel_values_videos"], **chosen).pooler_output[0]
    keys = ("pixel_values", "image_sizes", "batch_num_images")
    aspect = model.config.vision_aspect_ratio
    found = model.get_image_features(**{key: inputs[key] for key in keys}, vision_aspect_ratio=aspect, **chosen)
    return torch.cat(list(found.pooler_output))


def make_case(name: str, names: list[str], images, processor, frames=False, checked=CHECKED_GRADIENTS) -> None:
    model = make_model()
    tokenizer = processor.tokenizer
    inputs, pixels = (video_inputs if frames else image_inputs)(processor, [images[n] for n in names])
    prompt_length = inputs["input_ids"].shape[1]
    answer = torch.tensor([tokenizer(f"{ANSWER}<|im_end|>")["input_ids"]])
    whole = {**inputs, "input_ids": torch.cat([inputs["input_ids"], answer], 1)}
    whole.pop("attention_mask", None)
    labels = whole["input_ids"][0].clone()
    labels[:prompt_length] = -100
    with torch.no_grad():
        states = model.model.vision_tower(torch.cat(pixels), output_hidden_states=True).hidden_states
        rows = visual_rows(model, inputs)
    model.zero_grad()
    out = model(**whole, output_hidden_states=True)
    loss = text_loss(out.logits[0], labels)
    loss.backward()
    with torch.no_grad():
        greedy = model.generate(
            **inputs, max_new_tokens=STEPS, min_new_tokens=STEPS, do_sample=False, output_logits=True, return_dict_in_generate=True
        )
    patch = model.config.vision_config.patch_size
    flat = lambda x: x.detach().reshape(-1, x.shape[-1]).numpy()
    vectors = {
        "input_ids": whole["input_ids"][0].numpy().astype(np.int32),
        "labels": labels.numpy().astype(np.int32),
        **{f"pixels.{i}": cut_patches(view, patch) for i, view in enumerate(pixels)},
        **{f"vision.{i}": flat(state) for i, state in enumerate(states)},
        "projector": flat(rows),
        **{f"hidden.{i}": flat(state) for i, state in enumerate(out.hidden_states)},
        "logits": flat(out.logits),
        "loss": loss.detach().numpy().reshape(1),
        **gradient_vectors(parameters(model), lambda key: key.startswith(checked)),
        "greedy_ids": greedy.sequences[0, prompt_length:].numpy().astype(np.int32),
        "greedy_logits": torch.cat(greedy.logits).numpy(),
    }
    case = provenance("reference/llava-onevision/make_golden.py", "huggingface/transformers v5.18.0, models/llava_onevision")
    case |= {
        "settings": {"views": "frames"} if frames else {},
        "images": [f"../../../shared/__golden__/{n}.png" for n in names],
        "promptLength": prompt_length,
    }
    write_case(ROOT / name, case, sampled(vectors))


def write_texts(processor, images) -> None:
    """Prompts of no, one and two images with their ids, and ids of answers."""
    prompts = []
    for system in (None, "Be brief."):
        for names in ([], ["wide"], ["wide", "tall"]):
            text = prompt(processor.tokenizer, "image", len(names), system)
            shown = [[images[n] for n in names]] if names else None
            ids = processor(text=[text], images=shown, return_tensors="np")["input_ids"][0]
            prompts.append({"system": system, "images": names, "text": text, "ids": ids.tolist()})
    encoded = [{"text": text, "ids": processor.tokenizer(text)["input_ids"]} for text in TEXTS]
    case = {"script": "reference/llava-onevision/make_golden.py", "question": QUESTION, "prompts": prompts, "encoded": encoded}
    (ROOT / "texts.json").write_text(json.dumps(case, ensure_ascii=False) + "\n")


def write_counts() -> None:
    """Resolution and visual rows of single images of many sizes, with the published sizes of tower and resolutions."""
    images = LlavaOnevisionImageProcessorPil()
    sides = (20, 84, 300, 378, 384, 480, 504, 640, 968, 1080, 1296, 1920, 3000)
    rng = np.random.default_rng(7)
    sizes = [(h, w) for h in sides for w in sides] + [tuple(int(v) for v in rng.integers(30, 2500, 2)) for _ in range(60)]
    rows = []
    for height, width in (size for size in sizes if max(size) <= 200 * min(size)):
        resolution = select_best_resolution([height, width], images.image_grid_pinpoints)
        counts = []
        for most in (4, 9):
            processor = StillImageProcessor.__new__(StillImageProcessor)
            processor.num_image_tokens, processor.vision_aspect_ratio = 729, f"anyres_max_{most}"
            processor.image_processor = images
            counts.append(processor._get_number_of_features(height, width, 384, 384))
        rows.append([height, width, *resolution, *counts])
    case = {"script": "reference/llava-onevision/make_golden.py", "columns": "height, width, resolution, rows with 4 and with 9 tiles at most"}
    text = ",\n".join(json.dumps(row) for row in rows)
    (ROOT / "counts.json").write_text(json.dumps(case)[:-1] + f', "rows": [\n{text}\n]}}\n')


if __name__ == "__main__":
    torch.manual_seed(0)
    files = save_images(SOURCE / "shared/__golden__")
    stock = make_processor(AutoTokenizer.from_pretrained(FOLDER))
    for chosen in SINGLE:
        make_case(f"tiles-{chosen}", [chosen], files, stock, checked=PROJECTOR_GRADIENTS)
    make_case("views-2", VIEWS[2], files, stock)
    make_case("views-5", VIEWS[5], files, stock, checked=PROJECTOR_GRADIENTS)
    for count in VIEWS:
        make_case(f"frames-{count}", VIEWS[count], files, stock, frames=True, checked=PROJECTOR_GRADIENTS)
    write_texts(stock, files)
    write_counts()
