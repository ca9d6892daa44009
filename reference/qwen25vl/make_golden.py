"""Golden vectors of Qwen2.5-VL from Hugging Face transformers (CPU, float32, eager attention).

usage: node reference/qwen25vl/write_folder.mjs   (once; writes the tokenizer folder with our own code)
       python reference/qwen25vl/make_golden.py

Weights are not stored: weight i of the tensor with published name n is a function of (n, i), see `fill`, so that the
TypeScript side makes the same checkpoint in a temporary folder.
"""

import json
import shutil
import sys
from pathlib import Path

import numpy as np
import PIL
import torch
import transformers
from PIL import Image, ImageDraw
from safetensors.numpy import save_file
from transformers import AutoConfig, AutoTokenizer, Qwen2_5_VLForConditionalGeneration, Qwen2_5_VLProcessor
from transformers.models.qwen2_5_vl import modeling_qwen2_5_vl
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

ROOT = Path(__file__).resolve().parents[2] / "packages/adapter-qwen25vl/src/__golden__"
FOLDER = ROOT / "checkpoint"
QUESTION = "Which object is nearest to the red chair?"
ANSWER = "A. lamp"
SAMPLES = 256
TEXTS = ["Which object is nearest?", "it's 12.5 m\n\n  away", "Ünïcode 漢字 🙂\r\n\t x", "e\u0301<|im_end|> user", " "]
CHECKED_GRADIENTS = [
    "visual.merger.",
    "model.layers.0.",
    "model.layers.3.",
    "model.embed_tokens.weight",
    "model.norm.weight",
    "lm_head.weight",
]


def hash32(text: str) -> int:
    """FNV-1a."""
    value = 0x811C9DC5
    for byte in text.encode():
        value = ((value ^ byte) * 0x01000193) & 0xFFFFFFFF
    return value


def fill(name: str, shape) -> np.ndarray:
    """Uniform with standard deviation 0.2, or 1 + uniform with 0.1 for norms; exact in float32 in any language."""
    with np.errstate(over="ignore"):
        x = np.arange(int(np.prod(shape)), dtype=np.uint32) * np.uint32(0x9E3779B9) + np.uint32(hash32(name))
        for shift, factor in ((16, 0x85EBCA6B), (13, 0xC2B2AE35)):
            x = (x ^ (x >> np.uint32(shift))) * np.uint32(factor)
        x = x ^ (x >> np.uint32(16))
    unit = (x >> np.uint32(8)).astype(np.float32) * np.float32(2.0**-23) - np.float32(1)
    is_norm = "norm" in name or "ln_q" in name
    values = np.float32(0.1732) * unit + np.float32(1) if is_norm else np.float32(0.3464) * unit
    return values.reshape(shape)


def published(name: str) -> str:
    for in_memory, prefix in (("model.visual.", "visual."), ("model.language_model.", "model.")):
        if name.startswith(in_memory):
            return prefix + name[len(in_memory) :]
    return name


def make_model(config) -> Qwen2_5_VLForConditionalGeneration:
    model = Qwen2_5_VLForConditionalGeneration._from_config(config, attn_implementation="eager").eval().float()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.copy_(torch.from_numpy(fill(published(name), parameter.shape)))
    return model


class StillImageProcessor(Qwen2_5_VLProcessor):
    """The stock processor without its video part, which needs torchvision."""

    def check_argument_for_proper_class(self, argument_name, argument):
        return None if argument is None else super().check_argument_for_proper_class(argument_name, argument)


def make_processor() -> StillImageProcessor:
    tokenizer = AutoTokenizer.from_pretrained(FOLDER)
    images = Qwen2VLImageProcessorPil.from_pretrained(FOLDER)
    template = tokenizer.chat_template
    return StillImageProcessor(image_processor=images, tokenizer=tokenizer, video_processor=None, chat_template=template)


def draw(width: int, height: int, seed: int) -> Image.Image:
    """An image with gradients, sharp edges and some noise."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width]
    channels = [(x * 255) // width, (y * 255) // height, ((x + y) * 255) // (width + height)]
    image = Image.fromarray(np.stack(channels, -1).astype(np.uint8))
    pen = ImageDraw.Draw(image)
    for _ in range(6):
        left, top = rng.integers(0, width), rng.integers(0, height)
        box = [int(left), int(top), int(left + width // 4), int(top + height // 3)]
        pen.ellipse(box, fill=tuple(int(v) for v in rng.integers(0, 256, 3)))
    noisy = np.array(image)
    noisy[: height // 4, : width // 4] = rng.integers(0, 256, (height // 4, width // 4, 3))
    return Image.fromarray(noisy)


def save_images(folder: Path) -> dict[str, Image.Image]:
    folder.mkdir(parents=True, exist_ok=True)
    draw(151, 97, 1).save(folder / "wide.png")
    draw(80, 61, 2).save(folder / "small.png")
    draw(75, 120, 3).save(folder / "tall.jpg", quality=90)
    return {name: Image.open(folder / name).convert("RGB") for name in ("wide.png", "small.png", "tall.jpg")}


def to_levels(processor, pixel_values: np.ndarray, grid) -> np.ndarray:
    """Grey levels (h', w', 3) behind the normalised patches; fails unless they reproduce the values to 1e-6."""
    _, rows, columns = grid
    mean, std = (np.array(v, np.float64) for v in (processor.image_processor.image_mean, processor.image_processor.image_std))
    patches = pixel_values.reshape(rows // 2, columns // 2, 2, 2, 3, 2, 14, 14)
    assert np.array_equal(patches[:, :, :, :, :, 0], patches[:, :, :, :, :, 1])
    image = patches[:, :, :, :, :, 0].transpose(0, 2, 5, 1, 3, 6, 4).reshape(rows * 14, columns * 14, 3)
    levels = np.rint((image * std + mean) * 255)
    assert np.abs((levels / 255 - mean) / std - image).max() < 1e-6
    return levels.astype(np.uint8)


def messages(count: int, system=None):
    content = [{"type": "image"}] * count + [{"type": "text", "text": QUESTION}]
    head = [] if system is None else [{"role": "system", "content": system}]
    return [*head, {"role": "user", "content": content}]


def provenance(script_part: str, **more) -> dict:
    return {
        "script": f"reference/qwen25vl/make_golden.py ({script_part})",
        "source": "huggingface/transformers v5.18.0, models/qwen2_5_vl and models/qwen2_vl",
        "versions": {
            "python": sys.version.split()[0],
            "torch": torch.__version__,
            "transformers": transformers.__version__,
            "numpy": np.__version__,
            "pillow": PIL.__version__,
        },
        **more,
    }


def write_case(name: str, case: dict, vectors: dict[str, np.ndarray]) -> None:
    folder = ROOT / name
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "case.json").write_text(json.dumps(case, indent=2, ensure_ascii=False) + "\n")
    save_file({key: np.ascontiguousarray(value) for key, value in vectors.items()}, folder / "vectors.safetensors")


def make_processor_case(processor) -> dict[str, Image.Image]:
    images = save_images(ROOT / "processor")
    vectors = {}
    for name, image in images.items():
        out = processor.image_processor(images=[image], return_tensors="np")
        vectors[name] = to_levels(processor, out["pixel_values"], out["image_grid_thw"][0])
        vectors[f"values.{name}"] = sample(out["pixel_values"])
    prompts = []
    for system in (None, "Be brief."):
        for names in ([], ["wide.png"], ["wide.png", "tall.jpg"]):
            text = processor.apply_chat_template(messages(len(names), system), add_generation_prompt=True, tokenize=False)
            shown = [images[n] for n in names] or None
            ids = processor(text=[text], images=shown, return_tensors="np")["input_ids"][0]
            prompts.append({"system": system, "images": names, "text": text, "ids": ids.tolist()})
    encoded = [{"text": t, "ids": processor.tokenizer(t)["input_ids"]} for t in TEXTS]
    case = provenance(
        "processor",
        imageProcessor="Qwen2VLImageProcessorPil (slow, Pillow bicubic)",
        question=QUESTION,
        samples=SAMPLES,
        tolerance={"png": 1e-5, "jpegLevels": 2, "why": "resampling is exact integer arithmetic; JPEG decoders differ in chroma up-sampling"},
        prompts=prompts,
        encoded=encoded,
    )
    write_case("processor", case, vectors)
    return images


def vision_states(model, pixel_values, grid):
    """Patch embedding and block outputs, back from window order to the order of the patch matrix."""
    tower = model.model.visual
    states = []
    hooks = [tower.patch_embed.register_forward_hook(lambda *a: states.append(a[-1].detach()))]
    hooks += [block.register_forward_hook(lambda *a: states.append(a[-1].detach())) for block in tower.blocks]
    with torch.no_grad():
        merged = tower(pixel_values, grid_thw=grid).pooler_output
    for hook in hooks:
        hook.remove()
    index, _ = modeling_qwen2_5_vl.get_vision_window_index(
        grid, spatial_merge_size=tower.spatial_merge_size, window_size=tower.window_size, patch_size=tower.patch_size
    )
    back = torch.argsort(index)
    natural = [s.reshape(-1, 4, s.shape[-1])[back].reshape(s.shape) for s in states[1:]]
    return [states[0], *natural], merged


def sample(values: np.ndarray) -> np.ndarray:
    """All values of a small array, evenly spread ones of a large array."""
    flat = values.reshape(-1)
    if flat.size <= 2 * SAMPLES:
        return flat
    return flat[(np.arange(SAMPLES) * flat.size) // SAMPLES]


def text_loss_vectors(model, inputs, labels) -> dict[str, np.ndarray]:
    model.zero_grad()
    loss = model(**inputs, labels=labels).loss
    loss.backward()
    vectors = {"loss": loss.detach().numpy().reshape(1)}
    for name, parameter in model.named_parameters():
        key = published(name)
        if not any(key.startswith(prefix) for prefix in CHECKED_GRADIENTS):
            continue
        gradient = parameter.grad.numpy()
        vectors[f"gradient.{key}"] = sample(gradient)
        vectors[f"gradient_norm.{key}"] = np.array([np.linalg.norm(gradient.astype(np.float64))], np.float32)
    return vectors


def greedy_vectors(model, inputs, prompt_length: int) -> dict[str, np.ndarray]:
    prompt = {k: v[:, :prompt_length] if v.shape[:1] == (1,) and v.ndim == 2 and k != "image_grid_thw" else v for k, v in inputs.items()}
    out = model.generate(
        **prompt, max_new_tokens=3, min_new_tokens=3, do_sample=False, use_cache=True, output_logits=True, return_dict_in_generate=True
    )
    steps = torch.cat(out.logits).numpy()
    return {"greedy_ids": out.sequences[0, prompt_length:].numpy().astype(np.int32), "greedy_logits": steps}


def make_model_case(processor, images, tied: bool) -> None:
    config = AutoConfig.from_pretrained(FOLDER)
    config.tie_word_embeddings = tied
    model = make_model(config)
    assert (model.lm_head.weight.data_ptr() == model.get_input_embeddings().weight.data_ptr()) == tied
    views = [images["wide.png"], images["small.png"]]
    text = processor.apply_chat_template(messages(2), add_generation_prompt=True, tokenize=False)
    prompt_length = processor(text=[text], images=views, return_tensors="pt")["input_ids"].shape[1]
    inputs = processor(text=[text + ANSWER + "<|im_end|>\n"], images=views, return_tensors="pt", return_mm_token_type_ids=True)
    labels = inputs["input_ids"].clone()
    labels[:, :prompt_length] = -100
    with torch.no_grad():
        out = model(**inputs, output_hidden_states=True)
        positions, _ = model.model.get_rope_index(
            inputs["input_ids"], mm_token_type_ids=inputs["mm_token_type_ids"], image_grid_thw=inputs["image_grid_thw"]
        )
    vectors = {"logits": out.logits[0, -8:].numpy(), **text_loss_vectors(model, inputs, labels)}
    vectors |= greedy_vectors(model, inputs, prompt_length)
    if tied:
        states, merged = vision_states(model, inputs["pixel_values"], inputs["image_grid_thw"])
        vectors |= {
            "input_ids": inputs["input_ids"][0].numpy().astype(np.int32),
            "labels": labels[0].numpy().astype(np.int32),
            "positions": positions[:, 0].numpy().astype(np.int32),
            "grid_thw": inputs["image_grid_thw"].numpy().astype(np.int32),
            "projector": merged.numpy(),
            **{f"vision.{i}": s.numpy() for i, s in enumerate(states)},
            **{f"hidden.{i}": h[0].numpy() for i, h in enumerate(out.hidden_states)},
        }
    case = provenance(
        "model",
        config="../checkpoint/config.json with tie_word_embeddings as below; weights by the function fill",
        tieWordEmbeddings=tied,
        dtype="float32",
        attention="eager",
        images=["../processor/wide.png", "../processor/small.png"],
        question=QUESTION,
        answer=ANSWER,
        promptLength=prompt_length,
        samples=SAMPLES,
        tolerance={
            "states": 1e-4,
            "gradients": 1e-3,
            "why": "relative to the largest magnitude of the tensor; float32 sums in another order differ by about 1e-6 per layer",
        },
    )
    write_case("tied" if tied else "untied", case, vectors)


def make_saved_case() -> None:
    """A folder as transformers itself saves it: 5.x config.json, bfloat16."""
    config = AutoConfig.from_pretrained(FOLDER)
    config.text_config.update({"hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 1, "num_attention_heads": 2, "num_key_value_heads": 1})
    config.text_config.rope_parameters["mrope_section"] = [2, 1, 1]
    vision = {"hidden_size": 8, "intermediate_size": 12, "num_heads": 1, "depth": 1, "fullatt_block_indexes": [0], "out_hidden_size": 16}
    config.vision_config.update(vision)
    config.text_config.layer_types = ["full_attention"]
    config.tie_word_embeddings = False
    folder = ROOT / "saved-by-transformers"
    shutil.rmtree(folder, ignore_errors=True)
    make_model(config).to(torch.bfloat16).save_pretrained(folder)
    # Read again: the cast above also rounded the rotary frequencies of the model in memory.
    model = Qwen2_5_VLForConditionalGeneration.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager")
    (folder / "generation_config.json").unlink(missing_ok=True)
    ids = torch.arange(40, 60)[None]
    with torch.no_grad():
        logits = model(input_ids=ids).logits[0]
    case = provenance("saved", dtype="bfloat16 weights, float32 computation", inputIds=ids[0].tolist(), tolerance={"logits": 1e-4})
    write_case("saved-by-transformers", case, {"logits": logits[-4:].numpy()})


if __name__ == "__main__":
    torch.manual_seed(0)
    stock = make_processor()
    images = make_processor_case(stock)
    for is_tied in (True, False):
        make_model_case(stock, images, is_tied)
    make_saved_case()
