"""Defaults of the configuration classes of transformers, as JSON for the tests of the adapters.

    python reference/config_defaults.py

Writes packages/<adapter>/src/__fixtures__/config-defaults.json: for each class its defaults as `to_dict` gives them, and the
release they are of. The tests open a config.json with each key left out and compare with these.
"""

import json
from pathlib import Path

import transformers

PACKAGES = Path(__file__).parent.parent / "packages"

# Not in config.json of a checkpoint, or nothing that a forward pass depends on.
LEFT_OUT = {"transformers_version", "_name_or_path", "architectures", "dtype", "id2label", "label2id", "return_dict",
            "output_hidden_states", "output_attentions", "layer_types", "chunk_size_feed_forward", "is_encoder_decoder", "problem_type"}

FAMILIES = {
    "adapter-qwen25vl": {
        "root": "Qwen2_5_VLConfig",
        "text": "Qwen2_5_VLTextConfig",
        "vision": "Qwen2_5_VLVisionConfig",
    },
    "adapter-internvl3": {
        "root": "InternVLConfig",
        "text": "Qwen2Config",
        "vision": "InternVLVisionConfig",
    },
    "adapter-llava": {
        "next-video": "LlavaNextVideoConfig",
        "llama": "LlamaConfig",
        "clip": "CLIPVisionConfig",
        "onevision": "LlavaOnevisionConfig",
        "qwen2": "Qwen2Config",
        "qwen3": "Qwen3Config",
        "siglip": "SiglipVisionConfig",
    },
}


def defaults(name):
    config = getattr(transformers, name)()
    nested = getattr(config, "sub_configs", {})
    return {key: value for key, value in config.to_dict().items() if key not in LEFT_OUT and key not in nested}


for package, classes in FAMILIES.items():
    folder = PACKAGES / package / "src" / "__fixtures__"
    folder.mkdir(parents=True, exist_ok=True)
    content = {
        "script": "reference/config_defaults.py",
        "transformers": transformers.__version__,
        "classes": {role: {"class": name, "defaults": defaults(name)} for role, name in classes.items()},
    }
    (folder / "config-defaults.json").write_text(json.dumps(content, indent=2) + "\n")
    print(package, sum(len(each["defaults"]) for each in content["classes"].values()), "defaults")
