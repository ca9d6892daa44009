"""The peer of `npm run bench -- eval`: a plain loop of transformers in float32 on the CPU with all of its cores.

usage: python bench_eval.py '{"folder":"…","questions":"….json","tokens":16}'

`questions` holds [{"images": [path, …], "text": "…"}, …]. Each is read (PIL), processed, tokenised with the checkpoint's template and answered
greedily by `generate`, one after the other. Prints one JSON object: seconds to load, seconds of the loop, peak resident memory in
MiB, and the tokens of every answer.
"""

import json
import resource
import sys
import time
from pathlib import Path

import bench_peer  # Ends this process with the bench.

import torch
from PIL import Image
from transformers import AutoTokenizer, Qwen2_5_VLForConditionalGeneration
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil


class Processor:
    """What Qwen2_5_VLProcessor does with images and text; the class itself asks for video libraries."""

    def __init__(self, folder: str):
        self.tokenizer = AutoTokenizer.from_pretrained(folder)
        self.images = Qwen2VLImageProcessorPil.from_pretrained(folder)
        self.pad = self.tokenizer.convert_tokens_to_ids("<|image_pad|>")

    def __call__(self, paths: list[str], text: str) -> dict:
        pixels = self.images(images=[Image.open(path).convert("RGB") for path in paths], return_tensors="pt")
        cells = iter(int(grid.prod()) // 4 for grid in pixels["image_grid_thw"])
        content = [{"type": "image"} for _ in paths] + [{"type": "text", "text": text}]
        prompt = self.tokenizer.apply_chat_template([{"role": "user", "content": content}], add_generation_prompt=True, tokenize=False)
        ids = [i for token in self.tokenizer(prompt).input_ids for i in ([self.pad] * next(cells) if token == self.pad else [token])]
        ids = torch.tensor([ids])
        return {"input_ids": ids, "attention_mask": torch.ones_like(ids), "mm_token_type_ids": (ids == self.pad).int(), **pixels}


def main(settings: dict) -> dict:
    started = time.perf_counter()
    processor = Processor(settings["folder"])
    model = Qwen2_5_VLForConditionalGeneration.from_pretrained(settings["folder"], dtype=torch.float32).eval()
    questions = json.loads(Path(settings["questions"]).read_text())
    loaded = time.perf_counter()
    answers = []
    with torch.no_grad():
        for question in questions:
            inputs = processor(question["images"], question["text"])
            found = model.generate(**inputs, do_sample=False, repetition_penalty=1.0, max_new_tokens=settings["tokens"])
            answers.append(found[0, inputs["input_ids"].shape[1] :].tolist())
    return {
        "load_s": loaded - started,
        "answering_s": time.perf_counter() - loaded,
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "prompt_tokens": inputs["input_ids"].shape[1],
        "texts": [processor.tokenizer.decode(ids, skip_special_tokens=True) for ids in answers],
    }


print(json.dumps(main(json.loads(sys.argv[1]))))
