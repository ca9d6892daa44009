"""What a release of transformers writes when it saves a small checkpoint that spatialsv wrote.

    PYTHONPATH=<folder with one release> python reference/releases/save.py FAMILY SOURCE NEW OUT.json

Loads SOURCE, saves model and processor to NEW, and writes to OUT.json: the release, the JSON files of NEW that an adapter reads, and
the names of its tensors. `collect.py` puts the outcomes of many releases together.
"""

import json
import sys
from pathlib import Path

import torch

# The Python part of torchvision is enough to save a processor; its wheels for other builds of torch lack these operators.
OPERATORS = torch.library.Library("torchvision", "DEF")
for name in ["nms", "qnms", "roi_align", "roi_pool", "ps_roi_align", "ps_roi_pool", "deform_conv2d"]:
    OPERATORS.define(f"{name}(Tensor input) -> Tensor")
    OPERATORS.define(f"_{name}_backward(Tensor input) -> Tensor")

import transformers
from safetensors import safe_open

CLASSES = {
    "qwen2.5-vl": "Qwen2_5_VLForConditionalGeneration",
    "internvl3": "InternVLForConditionalGeneration",
    "llava-next-video": "LlavaNextVideoForConditionalGeneration",
    "llava-onevision": "LlavaOnevisionForConditionalGeneration",
}
READ = ["config.json", "generation_config.json", "preprocessor_config.json", "processor_config.json", "tokenizer_config.json"]

family, source, new, out = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]), Path(sys.argv[4])
model = getattr(transformers, CLASSES[family]).from_pretrained(source, torch_dtype=torch.float32)
model.save_pretrained(new)
processor = "saved"
try:
    transformers.AutoProcessor.from_pretrained(source).save_pretrained(new)
except Exception:
    # Old releases convert a slow tokenizer for some families, which a small checkpoint does not have.
    processor = "image processor and tokenizer"
    transformers.AutoImageProcessor.from_pretrained(source).save_pretrained(new)
    transformers.PreTrainedTokenizerFast.from_pretrained(source).save_pretrained(new)

with safe_open(new / "model.safetensors", "pt") as file:
    tensors = {name: list(file.get_slice(name).get_shape()) for name in file.keys()}
files = {name: json.loads((new / name).read_text()) for name in READ if (new / name).exists()}
content = {
    "transformers": transformers.__version__,
    "processor": processor,
    "names": sorted(path.name for path in new.iterdir()),
    "files": files,
    "tensors": tensors,
}
out.write_text(json.dumps(content, indent=1))
print(transformers.__version__, family, len(tensors), "tensors", processor)
