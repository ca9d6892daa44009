"""Checks adapters against `peft`: one that training wrote, and one that `peft` wrote and `spatialsv merge` merged.

usage: python reference/qwen25vl/check_adapter.py MODEL ADAPTER TAPS.safetensors [--images A B ...]
       python reference/qwen25vl/check_adapter.py MODEL ADAPTER --make

Needs `peft` beside the packages of reference/requirements.txt. TAPS are the states of the merged checkpoint, as
`spatialsv taps` writes them. Passes when `peft` loads the adapter onto MODEL with every tensor in its place and its
logits agree with those of TAPS within 1e-4 of their largest magnitude, and with those of `merge_and_unload` within 1e-5. With
--make a random adapter of the decoder and the projector is written to ADAPTER first.
"""

import argparse
import sys

import numpy as np
import peft
import torch
from check_saved import make_inputs, relative_error
from safetensors.numpy import load_file
from transformers import Qwen2_5_VLForConditionalGeneration


def load(folder):
    return Qwen2_5_VLForConditionalGeneration.from_pretrained(
        folder, dtype=torch.float32, attn_implementation="eager"
    ).eval()


def make(options):
    torch.manual_seed(3)
    config = peft.LoraConfig(
        r=3, lora_alpha=5, use_rslora=True, alpha_pattern={"q_proj": 9},
        target_modules=r"model\.language_model\.layers\..*_proj|model\.visual\.merger\.mlp\.[02]",
    )
    model = peft.get_peft_model(load(options.model), config)
    with torch.no_grad():
        for name, value in model.named_parameters():
            if "lora_" in name:
                value.copy_(torch.randn(value.shape) * 0.1)
    model.save_pretrained(options.adapter)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("adapter")
    parser.add_argument("taps", nargs="?")
    parser.add_argument("--images", nargs="*", default=[])
    parser.add_argument("--make", action="store_true")
    options = parser.parse_args()
    if options.make:
        make(options)
        return 0
    base = load(options.model)
    model = peft.PeftModel.from_pretrained(base, options.adapter).eval()
    ours = load_file(f"{options.adapter}/adapter_model.safetensors")
    theirs = peft.get_peft_model_state_dict(model)
    problems = sorted(set(ours) ^ set(theirs))
    wrong = [name for name in set(ours) & set(theirs) if not np.array_equal(ours[name], theirs[name].numpy())]
    taps = load_file(options.taps)
    with torch.no_grad():
        inputs = make_inputs(options.model, base.config, taps["input_ids"], options.images)
        logits = model(**inputs).logits[0].numpy()
        merged = model.merge_and_unload()(**inputs).logits[0].numpy()
        plain = load(options.model)(**inputs).logits[0].numpy()
    errors = {
        "ours, merged / peft": (relative_error(taps["logits"], logits), 1e-4),
        "merged by peft / peft": (relative_error(merged, logits), 1e-5),
    }
    for name, (error, limit) in errors.items():
        print(f"{name}: {error:.2e} of the largest logit (at most {limit:.0e})")
    print(f"without the adapter: {relative_error(plain, logits):.2e}")
    print(f"{len(ours)} tensors; not in both: {problems or 'none'}; other values: {wrong or 'none'}")
    return int(bool(problems or wrong) or any(error > limit for error, limit in errors.values()))


sys.exit(main())
