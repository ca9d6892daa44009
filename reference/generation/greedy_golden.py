"""Greedy answers of a tiny Qwen2.5-VL with repetition penalties, by `generate` of transformers (CPU, float32).

    node packages/cli/dist/main.js tiny --family qwen2.5-vl --out FOLDER --seed 5 --layers 4 --hidden-size 64
    python reference/generation/greedy_golden.py FOLDER packages/cli/src/commands/__golden__/greedy.json

The view is the image with the levels (7 row + 5 column + 80 channel) mod 256, 56 × 84 pixels, which needs no resizing.
Outputs of attention and MLP of the decoder are made 16 times as large, so that the answers vary.
"""

import json
import sys
from pathlib import Path

import numpy as np
import torch
import transformers
from PIL import Image
from transformers import AutoTokenizer, Qwen2_5_VLForConditionalGeneration
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

QUESTION = "Which object is nearest to the red chair?"
TOKENS = 20
PENALTIES = [1.0, 1.05, 1.3]


def view() -> Image.Image:
    row, column, channel = np.indices((56, 84, 3))
    return Image.fromarray(((7 * row + 5 * column + 80 * channel) % 256).astype(np.uint8))


def prompt(folder: str):
    tokenizer = AutoTokenizer.from_pretrained(folder)
    images = Qwen2VLImageProcessorPil.from_pretrained(folder)
    content = [{"type": "image"}, {"type": "text", "text": QUESTION}]
    text = tokenizer.apply_chat_template([{"role": "user", "content": content}], add_generation_prompt=True, tokenize=False)
    ids = tokenizer(text).input_ids
    pixels = images(images=[view()], return_tensors="pt")
    cells = int(pixels["image_grid_thw"].prod()) // 4
    pad = tokenizer.convert_tokens_to_ids("<|image_pad|>")
    ids = [i for token in ids for i in ([pad] * cells if token == pad else [token])]
    ids = torch.tensor([ids])
    return {"input_ids": ids, "attention_mask": torch.ones_like(ids), "mm_token_type_ids": (ids == pad).int(), **pixels}


def main(folder: str, out: Path) -> None:
    model = Qwen2_5_VLForConditionalGeneration.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager").eval()
    with torch.no_grad():
        for name, weight in model.model.language_model.named_parameters():
            if name.endswith(("o_proj.weight", "down_proj.weight")):
                weight *= 16
    model.generation_config.eos_token_id = None
    inputs = prompt(folder)
    length = inputs["input_ids"].shape[1]
    answers = {}
    for penalty in PENALTIES:
        found = model.generate(**inputs, do_sample=False, max_new_tokens=TOKENS, repetition_penalty=penalty)
        answers[str(penalty)] = found[0, length:].tolist()
    golden = {"made_by": "reference/generation/greedy_golden.py", "transformers": transformers.__version__,
              "torch": torch.__version__, "question": QUESTION,
              "input_ids": inputs["input_ids"][0].tolist(), "answers": answers}
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(golden) + "\n")


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
