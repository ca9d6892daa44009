"""Checks a LLaVA-NeXT-Video folder that we saved, and the states that we computed from it, against transformers.

usage: python reference/llava-next-video/check_saved.py FOLDER TAPS.safetensors --images A B ...

TAPS is what `spatialsv taps` writes for the same images. Passes when transformers loads the folder with no missing and no
unexpected tensor and every state agrees within 1e-4 of its largest magnitude (float32, eager attention).
"""

import sys
from pathlib import Path

import numpy as np
import torch
from transformers import LlavaNextVideoForConditionalGeneration

try:
    from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil
except ImportError:  # transformers 4
    from transformers import CLIPImageProcessor as CLIPImageProcessorPil

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "backbones"))
from saved import arguments, report  # noqa: E402


def main() -> int:
    options = arguments(__doc__)
    model, loading = LlavaNextVideoForConditionalGeneration.from_pretrained(
        options.folder, dtype=torch.float32, attn_implementation="eager", output_loading_info=True
    )
    processor = CLIPImageProcessorPil.from_pretrained(options.folder)
    pixels = torch.cat([processor(images=[image], return_tensors="pt")["pixel_values"] for image in options.images])
    ids = torch.from_numpy(options.taps["input_ids"].astype(np.int64))[None]
    with torch.no_grad():
        out = model.eval()(input_ids=ids, pixel_values_videos=pixels[None], output_hidden_states=True)
    problems = {key: sorted(value) for key, value in loading.items() if value}
    return report(options.taps, out.hidden_states, out.logits[0], problems)


if __name__ == "__main__":
    sys.exit(main())
