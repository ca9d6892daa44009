"""What transformers' logits processors leave of a distribution.

    python reference/generation/make_golden.py packages/eval/src/runner/__golden__/sampling

For every case: logits (K), ids of prompt and answer so far, and the probabilities (K) from which `generate` would draw.
"""

import json
import sys
from pathlib import Path

import torch
import transformers
from safetensors.torch import save_file
from transformers import GenerationConfig, LlamaConfig, LlamaForCausalLM
from transformers.generation import LogitsProcessorList

SEED = 11
CASES = [
    {},
    {"temperature": 0.7},
    {"temperature": 2.5, "top_k": 0},
    {"top_k": 1},
    {"top_k": 5},
    {"top_k": 0, "top_p": 0.9},
    {"top_k": 0, "top_p": 0.001},
    {"top_k": 20, "top_p": 0.5, "temperature": 1.3},
    {"top_k": 0, "min_p": 0.1},
    {"top_k": 30, "top_p": 0.95, "min_p": 0.05, "temperature": 0.8},
    {"top_k": 0, "repetition_penalty": 1.3},
    {"repetition_penalty": 0.8, "temperature": 0.5},
    {"repetition_penalty": 1.05, "temperature": 0.1, "top_k": 1, "top_p": 0.001},
]
SIZES = [64, 64, 64, 64, 512, 64, 64, 512, 64, 512, 64, 64, 64]


def processors(settings: dict) -> LogitsProcessorList:
    """The list that `generate` puts together, in its order."""
    config = LlamaConfig(vocab_size=8, hidden_size=8, intermediate_size=8, num_hidden_layers=1, num_attention_heads=1)
    model = LlamaForCausalLM(config)
    prepared, _ = model._prepare_generation_config(GenerationConfig(do_sample=True, **settings))
    model._prepare_special_tokens(prepared, kwargs_has_attention_mask=True, device="cpu")
    return model._get_logits_processor(generation_config=prepared, input_ids_seq_length=4, device="cpu")


def main(out: Path) -> None:
    out.mkdir(parents=True, exist_ok=True)
    generator = torch.Generator().manual_seed(SEED)
    tensors = {}
    for index, (settings, size) in enumerate(zip(CASES, SIZES, strict=True)):
        logits = 3 * torch.randn(size, generator=generator)
        if index % 3 == 1:  # Equal logits, as far as a cut does not fall between them.
            logits[7] = logits[3]
        seen = torch.randint(size, (9,), generator=generator)
        scores = processors(settings)(seen[None], logits[None].clone())
        tensors |= {
            f"{index}.logits": logits,
            f"{index}.seen": seen.int(),
            f"{index}.probabilities": scores.softmax(-1)[0],
        }
    save_file(tensors, out / "vectors.safetensors")
    provenance = {"made_by": "reference/generation/make_golden.py", "transformers": transformers.__version__,
                  "torch": torch.__version__, "seed": SEED, "cases": CASES,
                  "tolerance": "1e-6 absolute: float32 softmax there, float64 here"}
    (out / "case.json").write_text(json.dumps(provenance, indent=2) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
