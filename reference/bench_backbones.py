"""The peer of `npm run bench -- large` and `backbones`: transformers in float32 on the CPU with all of its cores.

usage: python bench_backbones.py '{"folder":"…","prompt":"….safetensors","tokens":9,"again":false}'

The prompt holds `ids` (T), `first` (position of the first visual row), and of every view N its prepared pixels `pixels.N` (P, patch values) and its grid `grid.N` (rows,
columns of cells). Families without a class in transformers are put together from stock parts (model.py of the family beside this
file). With `again` the answer is timed the second time it is given. Prints one JSON object: seconds to load, seconds from the start of loading to the first token, milliseconds until the first
token (vision included) and (median) for each further one, peak resident memory in MiB, and the greedy tokens.
"""

import importlib.util
import json
import resource
import statistics
import sys
import time
from pathlib import Path

import bench_peer  # Ends this process with the bench.

import torch
import transformers
from safetensors.torch import load_file
from transformers import StoppingCriteria
from transformers.initialization import no_init_weights

REFERENCE = Path(__file__).resolve().parent


class Clock(StoppingCriteria):
    """Notes when each token is there."""

    def __init__(self):
        self.times = []

    def __call__(self, input_ids, scores, **_):
        self.times.append(time.perf_counter())
        return torch.zeros(input_ids.shape[0], dtype=torch.bool)


class Prompt:
    def __init__(self, file: str):
        tensors = load_file(file)
        self.ids = tensors["ids"].long()
        self.first = int(tensors["first"])
        count = sum(name.startswith("pixels.") for name in tensors)
        self.pixels = [tensors[f"pixels.{view}"] for view in range(count)]
        self.cells = [tensors[f"grid.{view}"].long() for view in range(count)]

    def images(self, side: int, patch: int, cell: int = 1) -> torch.Tensor:
        """(N, 3, side, side) of patches, row by row in cells of cell × cell; what fills no patch is not seen and 0."""
        across = side // patch
        cells = torch.cat(self.pixels).reshape(-1, across // cell, across // cell, cell, cell, 3, patch, patch)
        grid = cells.permute(0, 5, 1, 3, 6, 2, 4, 7)
        seen = grid.reshape(-1, 3, across * patch, across * patch)
        rest = side - across * patch
        return torch.nn.functional.pad(seen, (0, rest, 0, rest))

    def thw(self) -> torch.Tensor:
        """Patches of views in cells of 2 × 2."""
        return torch.tensor([[1, 2 * int(h), 2 * int(w)] for h, w in self.cells])


# ---------------------------------------------------------------------------------------------- stock classes


def stock(name: str, inputs_of):
    """A class of transformers. @param inputs_of gives what it takes beside ids, from prompt and configuration."""

    def load(folder: str):
        model = getattr(transformers, name).from_pretrained(folder, dtype=torch.float32).eval()

        def answer(prompt: Prompt, options: dict):
            ids = prompt.ids[None]
            out = model.generate(input_ids=ids, attention_mask=torch.ones_like(ids), **inputs_of(prompt, model.config), **options)
            return out[0, ids.shape[1] :]

        return answer

    return load


def qwen_inputs(prompt: Prompt, config) -> dict:
    return {
        "pixel_values": torch.cat(prompt.pixels),
        "image_grid_thw": prompt.thw(),
        "mm_token_type_ids": (prompt.ids[None] == config.image_token_id).int(),
    }


def tile_inputs(prompt: Prompt, config) -> dict:
    vision = config.vision_config
    return {"pixel_values": prompt.images(vision.image_size[0], vision.patch_size[0], cell=2)}


def frame_inputs(prompt: Prompt, config) -> dict:
    vision = config.vision_config
    return {"pixel_values_videos": prompt.images(vision.image_size, vision.patch_size)[None]}


def padded_inputs(prompt: Prompt, config) -> dict:
    vision = config.vision_config
    views = prompt.images(vision.image_size, vision.patch_size)
    sizes = torch.full((len(views), 2), vision.image_size)
    return {"pixel_values": views[:, None], "image_sizes": sizes, "batch_num_images": torch.tensor([len(views)])}


# ---------------------------------------------------------------------------------------------- put together


def module_of(family: str):
    spec = importlib.util.spec_from_file_location("family", REFERENCE / family / "model.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def build(make):
    """A model whose parameters are not initialised: loading is not to pay for it."""
    kinds = (torch.nn.Linear, torch.nn.Embedding, torch.nn.LayerNorm, torch.nn.Conv2d)
    kept = [kind.reset_parameters for kind in kinds]
    for kind in kinds:
        kind.reset_parameters = lambda self: None
    try:
        with no_init_weights():
            return make().eval().float()
    finally:
        for kind, reset in zip(kinds, kept, strict=True):
            kind.reset_parameters = reset


def read_folder(folder: str):
    weights = {}
    for file in sorted(Path(folder).glob("*.safetensors")):
        weights |= load_file(file)
    return json.loads((Path(folder) / "config.json").read_text()), weights


def load_llava_qwen(folder: str):
    config, weights = read_folder(folder)
    model = build(lambda: module_of("llava-next-video-siglip").LlavaQwen(config))
    with torch.no_grad():
        for name, parameter in model.published():
            if name in weights:
                parameter.copy_(weights.pop(name))
    model.tower.set_attn_implementation("sdpa")
    model.decoder.set_attn_implementation("sdpa")
    vision = config["vision_config"]

    def answer(prompt: Prompt, options: dict):
        rows = model.visual_rows(prompt.images(vision["image_size"], vision["patch_size"]))
        ids = prompt.ids.tolist()
        embeddings = model.embeddings(ids[: prompt.first], rows, ids[prompt.first + len(rows) :])
        return model.decoder.generate(inputs_embeds=embeddings, attention_mask=torch.ones(embeddings.shape[:2]), **options)[0]

    return answer


def load_onevision_15(folder: str):
    config, weights = read_folder(folder)
    module = module_of("llava-onevision-15")
    model = build(lambda: module.OneVision15(config))
    module.load(model, lambda name, shape: weights[name].float().reshape(shape))
    weights.clear()
    model.tower.set_attn_implementation("sdpa")
    model.language.set_attn_implementation("sdpa")

    def answer(prompt: Prompt, options: dict):
        views = zip(prompt.pixels, prompt.thw(), strict=True)
        rows = torch.cat([model.encode(pixels, grid)[1] for pixels, grid in views])
        embeddings = model.embed(prompt.ids, rows)
        return model.language.generate(inputs_embeds=embeddings, attention_mask=torch.ones(embeddings.shape[:2]), **options)[0]

    return answer


LOADERS = {
    "qwen2_5_vl": stock("Qwen2_5_VLForConditionalGeneration", qwen_inputs),
    "internvl": stock("InternVLForConditionalGeneration", tile_inputs),
    "llava_next_video": stock("LlavaNextVideoForConditionalGeneration", frame_inputs),
    "llava_onevision": stock("LlavaOnevisionForConditionalGeneration", padded_inputs),
    "llava_qwen": load_llava_qwen,
    "llavaonevision1_5": load_onevision_15,
}


def timed(answer, prompt: Prompt, tokens: int):
    clock = Clock()
    options = {"max_new_tokens": tokens, "do_sample": False, "repetition_penalty": 1.0, "stopping_criteria": [clock]}
    asked = time.perf_counter()
    return asked, clock, answer(prompt, options)


def main(settings: dict) -> dict:
    kind = json.loads((Path(settings["folder"]) / "config.json").read_text())["model_type"]
    prompt = Prompt(settings["prompt"])
    started = time.perf_counter()
    with torch.no_grad():
        answer = LOADERS[kind](settings["folder"])
        loaded = time.perf_counter()
        asked, clock, ids = timed(answer, prompt, settings["tokens"])
        first_token = clock.times[0] - started
        if settings["again"]:
            asked, clock, ids = timed(answer, prompt, settings["tokens"])
    steps = [b - a for a, b in zip(clock.times, clock.times[1:])]
    return {
        "load_s": loaded - started,
        "first_token_s": first_token,
        "prefill_ms": 1000 * (clock.times[0] - asked),
        "token_ms": 1000 * statistics.median(steps),
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "ids": ids.tolist(),
    }


print(json.dumps(main(json.loads(sys.argv[1]))))
