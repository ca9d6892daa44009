"""Golden vectors of InternVL3 from Hugging Face transformers (CPU, float32, eager attention) and from the models' own code.

usage: node reference/internvl3/write_folder.mjs   (once; writes the folders of both layouts with our own code)
       python reference/internvl3/make_golden.py INTERNVL

INTERNVL is a checkout of github.com/OpenGVLab/InternVL (commit 2410d1d): prompts and tiles of original checkpoints come from
its `conversation.py` and its function `dynamic_preprocess`. The network of both layouts is the same and runs in
transformers; that the original names are mapped to it rightly is shown by `check_saved.py`.

Weights are not stored: weight i of the tensor with native published name n is a function of (n, i), see `fill`, so that the
TypeScript side makes the same checkpoint in a temporary folder.
"""

import argparse
import ast
import importlib.util
import json
import sys
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from transformers import AutoConfig, AutoTokenizer, InternVLForConditionalGeneration, InternVLProcessor
from transformers.models.got_ocr2.image_processing_pil_got_ocr2 import GotOcr2ImageProcessorPil, get_optimal_tiled_canvas

sys.path.append(str(Path(__file__).resolve().parents[1] / "backbones"))
from golden import (  # noqa: E402
    ANSWER,
    QUESTION,
    STEPS,
    VIEWS,
    fill,
    fill_model,
    gradient_vectors,
    provenance,
    sampled,
    save_images,
    write_case,
)

ROOT = Path(__file__).resolve().parents[2] / "packages/adapter-internvl3/src/__golden__"
SOURCE = "huggingface/transformers v5.18.0, models/internvl and models/got_ocr2; OpenGVLab/InternVL 2410d1d, internvl_chat/internvl"
TILE, CELLS = 56, 2
MEAN, STD = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
# Layout, views, tiles of a view at most (None: what the checkpoint says), tied head, gradients of the decoder.
CASES = {
    "native-1": ("native", ["wide"], None, False, False),
    "native-2": ("native", ["tall", "large"], 3, False, True),
    "native-5": ("native", VIEWS[5], 1, True, True),
    "original-1": ("original", ["large"], None, False, True),
    "original-2": ("original", ["wide", "tiny"], 4, True, False),
    "original-5": ("original", VIEWS[5], 1, False, False),
}
CHECKED_GRADIENTS = [
    "multi_modal_projector.",
    "language_model.model.layers.0.",
    "language_model.model.layers.3.",
    "language_model.model.embed_tokens.weight",
    "language_model.model.norm.weight",
    "language_model.lm_head.weight",
]


# ---------------------------------------------------------------------------------------------- weights


def published(name: str) -> str:
    for in_memory, prefix in (("model.language_model.", "language_model.model."), ("lm_head.", "language_model.lm_head."), ("model.", "")):
        if name.startswith(in_memory):
            return prefix + name[len(in_memory) :]
    return name


def original_name(name: str) -> str:
    """Name in original checkpoints of a tensor of projector or decoder."""
    for native, original in (("layer_norm", "0"), ("linear_1", "1"), ("linear_2", "3")):
        name = name.replace(f"multi_modal_projector.{native}.", f"mlp1.{original}.")
    return name


def make_model(tied: bool, vocabulary: int) -> InternVLForConditionalGeneration:
    config = AutoConfig.from_pretrained(ROOT / "native")
    config.text_config.vocab_size = vocabulary
    config.tie_word_embeddings = config.text_config.tie_word_embeddings = tied
    model = InternVLForConditionalGeneration._from_config(config, attn_implementation="eager").eval().float()
    assert (model.lm_head.weight.data_ptr() == model.get_input_embeddings().weight.data_ptr()) == tied
    fill_model(named_parameters(model))
    return model


def named_parameters(model) -> list:
    return [(published(name), parameter) for name, parameter in model.named_parameters()]


# ---------------------------------------------------------------------------------------------- images and prompts


class StillImageProcessor(InternVLProcessor):
    """The stock processor without its video part, which needs torchvision."""

    def check_argument_for_proper_class(self, argument_name, argument):
        return None if argument is None else super().check_argument_for_proper_class(argument_name, argument)


class NativeReference:
    """Prompts and pixels of transformers' layout."""

    def __init__(self):
        tokenizer = AutoTokenizer.from_pretrained(ROOT / "native")
        images = GotOcr2ImageProcessorPil.from_pretrained(ROOT / "native")
        template = (ROOT / "native/chat_template.jinja").read_text()
        self.vocabulary = json.loads((ROOT / "native/config.json").read_text())["text_config"]["vocab_size"]
        self.processor = StillImageProcessor(image_processor=images, tokenizer=tokenizer, image_seq_length=CELLS**2, chat_template=template)

    def prompt(self, count: int, system: str | None) -> str:
        content = [{"type": "image"}] * count + [{"type": "text", "text": QUESTION}]
        head = [] if system is None else [{"role": "system", "content": system}]
        return self.processor.apply_chat_template([*head, {"role": "user", "content": content}], add_generation_prompt=True, tokenize=False)

    def inputs(self, views, most: int | None, system=None, answer="") -> tuple[np.ndarray, np.ndarray, list[int]]:
        """Ids, pixel values (tiles, 3, H, W) and the tiles of each view."""
        text = self.prompt(len(views), system) + answer
        limit = {} if most is None else {"max_patches": most}
        out = self.processor(text=[text], images=views or None, return_tensors="np", **limit)
        counts = [
            self.processor.image_processor.get_number_of_image_patches(v.height, v.width, {"crop_to_patches": True, **limit}) for v in views
        ]
        return out["input_ids"][0], out.get("pixel_values"), counts


class OriginalReference:
    """Prompts and tiles of the models' own code."""

    def __init__(self, checkout: Path):
        package = checkout / "internvl_chat/internvl"
        spec = importlib.util.spec_from_file_location("conversation", package / "conversation.py")
        self.conversation = importlib.util.module_from_spec(spec)
        sys.modules["conversation"] = self.conversation
        spec.loader.exec_module(self.conversation)
        self.dynamic_preprocess = functions_of(package / "train/dataset.py", ["find_closest_aspect_ratio", "dynamic_preprocess"])["dynamic_preprocess"]
        self.tokenizer = AutoTokenizer.from_pretrained(ROOT / "original")
        self.config = json.loads((ROOT / "original/config.json").read_text())
        self.vocabulary = self.config["llm_config"]["vocab_size"]

    def prompt(self, count: int, system: str | None) -> str:
        template = self.conversation.get_conv_template(self.config["template"])
        if system is not None:
            template.system_message = system
        markers = ["<image>\n"] if count == 1 else [f"Image-{i + 1}: <image>\n" for i in range(count)]
        template.append_message(template.roles[0], "".join(markers) + QUESTION)
        template.append_message(template.roles[1], None)
        return template.get_prompt()

    def inputs(self, views, most: int | None, system=None, answer="") -> tuple[np.ndarray, np.ndarray, list[int]]:
        most = most or self.config["max_dynamic_patch"]
        tiles = [self.dynamic_preprocess(v, 1, most, TILE, self.config["use_thumbnail"]) for v in views]
        text = self.prompt(len(views), system) + answer
        for of_view in tiles:
            text = text.replace("<image>", "<img>" + "<IMG_CONTEXT>" * CELLS**2 * len(of_view) + "</img>", 1)
        pixels = [(np.asarray(tile, np.float32) / np.float32(255) - MEAN) / STD for of_view in tiles for tile in of_view]
        values = np.stack(pixels).transpose(0, 3, 1, 2).astype(np.float32) if pixels else None
        return np.array(self.tokenizer(text)["input_ids"]), values, [len(of_view) for of_view in tiles]


def functions_of(file: Path, names: list[str]) -> dict:
    """Functions of a module whose imports are not needed."""
    tree = ast.parse(file.read_text())
    kept = [node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name in names]
    scope: dict = {}
    exec(compile(ast.Module(kept, []), str(file), "exec"), scope)
    return scope


# ---------------------------------------------------------------------------------------------- vectors


def patches_of(values: np.ndarray, counts: list[int]) -> dict[str, np.ndarray]:
    """Pixels of each view, (tiles, 3, H, W) → (tiles · P, 3 · 14²): 2 × 2 cells row by row, their patches row by row."""
    side = TILE // 14 // 2
    cells = values.reshape(-1, 3, side, 2, 14, side, 2, 14).transpose(0, 2, 5, 3, 6, 1, 4, 7)
    rows = cells.reshape(len(values), -1, 3 * 14 * 14)
    views = np.split(rows, np.cumsum(counts)[:-1])
    return {f"pixels.{i}": view.reshape(-1, 3 * 14 * 14) for i, view in enumerate(views)}


def grid_of(width: int, height: int, tiles: int) -> tuple[int, int]:
    """(columns, rows) of a view with so many tiles, thumbnail included: the one whose ratio is nearest."""
    count = max(1, tiles - 1)
    grids = [(c, count // c) for c in range(1, count + 1) if count % c == 0]
    return min(grids, key=lambda grid: abs(width / height - grid[0] / grid[1]))


def stitched(states: np.ndarray, views, counts: list[int]) -> np.ndarray:
    """(tiles, P, C) of all views → rows of each view's tiles side by side, thumbnails left out."""
    side = TILE // 14
    rows, start = [], 0
    for view, count in zip(views, counts, strict=True):
        columns, lines = grid_of(view.width, view.height, count)
        of_view = states[start : start + columns * lines].reshape(lines, columns, side, side, -1)
        rows.append(of_view.transpose(0, 2, 1, 3, 4).reshape(lines * columns * side * side, -1))
        start += count
    return np.concatenate(rows)


def vision_vectors(model, pixels: torch.Tensor, views, counts: list[int]) -> dict[str, np.ndarray]:
    tower = model.model.vision_tower
    found = []
    keep = lambda *args: found.append((args[-1][0] if isinstance(args[-1], tuple) else args[-1]).detach().numpy())  # noqa: E731
    hooks = [layer.register_forward_hook(keep) for layer in (tower.embeddings, *tower.encoder.layer)]
    with torch.no_grad():
        rows = model.model.get_image_features(pixels, vision_feature_layer=-1, vision_feature_select_strategy="default").pooler_output
    for hook in hooks:
        hook.remove()
    vectors = {f"vision.{i}": stitched(states[:, 1:], views, counts) for i, states in enumerate(found)}
    return {"projector": rows.reshape(-1, rows.shape[-1]).numpy(), **vectors}


def greedy_vectors(model, ids: np.ndarray, pixels: torch.Tensor) -> dict[str, np.ndarray]:
    """20 tokens, end tokens among them; fails where two tokens are so near that rounding could decide."""
    model.generation_config.eos_token_id = None
    options = {"max_new_tokens": STEPS, "do_sample": False, "use_cache": True}
    out = model.generate(
        input_ids=torch.from_numpy(ids)[None], pixel_values=pixels, output_logits=True, return_dict_in_generate=True, **options
    )
    new = out.sequences[0, len(ids) :]
    logits = torch.cat(out.logits)
    best = logits.topk(2).values
    margin = ((best[:, 0] - best[:, 1]) / logits.abs().max()).min()
    print(f"smallest distance of the two best tokens: {margin:.1e} of the largest logit")
    assert margin > 1e-4, "two tokens are as good as each other"
    return {"greedy_ids": new.numpy().astype(np.int32), "greedy_logits": logits.numpy()}


# ---------------------------------------------------------------------------------------------- cases


def make_model_case(name: str, references: dict, images: dict[str, Image.Image]) -> None:
    layout, shown, most, tied, has_decoder_gradients = CASES[name]
    reference, views = references[layout], [images[key] for key in shown]
    model = make_model(tied, reference.vocabulary)
    prompt, values, counts = reference.inputs(views, most)
    whole, _, _ = reference.inputs(views, most, answer=ANSWER + "<|im_end|>")
    assert np.array_equal(whole[: len(prompt)], prompt)
    values = np.asarray(values, np.float32)
    pixels = torch.from_numpy(values)
    ids = torch.from_numpy(whole.astype(np.int64))[None]
    labels = ids.clone()
    labels[:, : len(prompt)] = -100
    out = model(input_ids=ids, pixel_values=pixels, labels=labels, output_hidden_states=True)
    wanted = CHECKED_GRADIENTS if has_decoder_gradients else CHECKED_GRADIENTS[:1]
    out.loss.backward()
    checked = [(key, value) for key, value in named_parameters(model) if any(key.startswith(prefix) for prefix in wanted)]
    names = {key: original_name(key) if layout == "original" else key for key, _ in checked}
    vectors = gradient_vectors([(names[key], value) for key, value in checked], lambda _: True)
    vectors |= {
        "input_ids": whole.astype(np.int32),
        "labels": labels[0].numpy().astype(np.int32),
        "loss": out.loss.detach().numpy().reshape(1),
        "logits": out.logits[0].detach().numpy(),
        **{f"hidden.{i}": hidden[0].detach().numpy() for i, hidden in enumerate(out.hidden_states)},
        **patches_of(values, counts),
        **vision_vectors(model, pixels, views, counts),
        **greedy_vectors(model, prompt.astype(np.int64), pixels),
    }
    case = {
        **provenance("reference/internvl3/make_golden.py", SOURCE),
        "layout": layout,
        "config": f"../{layout}/config.json with tie_word_embeddings as below; weights by the function fill",
        "tieWordEmbeddings": tied,
        "images": [f"../images/{key}.png" for key in shown],
        "tiles": counts,
        "maxTiles": most,
        "promptLength": len(prompt),
    }
    write_case(ROOT / name, case, sampled(vectors))


def make_prompt_case(references: dict, images: dict[str, Image.Image]) -> None:
    """Ids of prompts with and without system text, and texts; tiles of many sizes."""
    prompts = []
    for layout, reference in references.items():
        for system in (None, "Be brief."):
            for shown in ([], ["square"], ["wide", "tall"]):
                ids, _, _ = reference.inputs([images[key] for key in shown], 2, system)
                prompts.append({"layout": layout, "system": system, "images": shown, "ids": ids.tolist()})
    info = {"script": "reference/internvl3/make_golden.py", "source": SOURCE, "question": QUESTION, "maxTiles": 2}
    case = {**info, "prompts": prompts, "tiles": tile_grids(references["original"]), "smallProjection": small_projection()}
    (ROOT / "prompts.json").write_text(json.dumps(case, ensure_ascii=False) + "\n")


def small_projection() -> dict:
    """The projector on features so small that the epsilon of its norm counts."""
    features = torch.from_numpy(fill("features", (4, 4 * 32)) * np.float32(0.003))
    with torch.no_grad():
        rows = make_model(False, NativeReference().vocabulary).model.multi_modal_projector(features)
    return {"features": "fill('features', (4, 128)) · 0.003", "rows": rows.numpy().astype(float).tolist()}


def tile_grids(reference: OriginalReference) -> list:
    """[height, width, most, columns, rows] by the models' own code, and the same by transformers."""
    sizes = [(480, 640), (640, 480), (480, 480), (378, 504), (968, 1296), (1080, 1920), (60, 4000), (4000, 60), (7, 5), (449, 897), (1, 1)]
    found = []
    for height, width in sizes:
        for most in (1, 2, 3, 4, 5, 6, 8, 12):
            columns, rows = get_optimal_tiled_canvas((height, width), (448, 448), 1, most)
            canvas = FakeImage(width, height)
            reference.dynamic_preprocess(canvas, 1, most, 448, False)
            assert canvas.asked == (448 * columns, 448 * rows), (height, width, most)
            found.append([height, width, most, columns, rows])
    return found


class FakeImage:
    """Notes the size that it is asked to be resized to."""

    def __init__(self, width: int, height: int):
        self.size = (width, height)

    def resize(self, size):
        self.asked = size
        return self

    def crop(self, box):
        return box


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("internvl", type=Path)
    options = parser.parse_args()
    torch.manual_seed(0)
    references = {"native": NativeReference(), "original": OriginalReference(options.internvl)}
    images = save_images(ROOT / "images")
    make_prompt_case(references, images)
    for name in CASES:
        make_model_case(name, references, images)


if __name__ == "__main__":
    main()
