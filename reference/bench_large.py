"""The peer of `npm run bench -- large`: transformers in float32 on the CPU with all of its cores.

usage: python bench_large.py '{"folder":"…","image":"….ppm","ids":[…],"tokens":9}'
Prints one JSON object: seconds to load, milliseconds until the first token and (median) for each further one, peak resident
memory in MiB, and the greedy tokens.
"""

import json
import resource
import statistics
import sys
import time

import torch
from PIL import Image
from transformers import Qwen2_5_VLForConditionalGeneration, StoppingCriteria
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil


class Clock(StoppingCriteria):
    """Notes when each token is there."""

    def __init__(self):
        self.times = []

    def __call__(self, input_ids, scores, **_):
        self.times.append(time.perf_counter())
        return torch.zeros(input_ids.shape[0], dtype=torch.bool)


def main(settings):
    started = time.perf_counter()
    model = Qwen2_5_VLForConditionalGeneration.from_pretrained(settings["folder"], dtype=torch.float32).eval()
    load = time.perf_counter() - started
    image = Image.open(settings["image"]).convert("RGB")
    images = Qwen2VLImageProcessorPil.from_pretrained(settings["folder"])(images=[image], return_tensors="pt")
    ids = torch.tensor([settings["ids"]])
    types = (ids == model.config.image_token_id).to(torch.int32)
    clock = Clock()
    started = time.perf_counter()
    with torch.no_grad():
        out = model.generate(
            input_ids=ids,
            attention_mask=torch.ones_like(ids),
            mm_token_type_ids=types,
            **images,
            max_new_tokens=settings["tokens"],
            do_sample=False,
            stopping_criteria=[clock],
        )
    steps = [b - a for a, b in zip(clock.times, clock.times[1:])]
    return {
        "load_s": load,
        "prefill_ms": 1000 * (clock.times[0] - started),
        "token_ms": 1000 * statistics.median(steps),
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "ids": out[0, ids.shape[1] :].tolist(),
    }


print(json.dumps(main(json.loads(sys.argv[1]))))
