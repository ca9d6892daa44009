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

# Root class of each family, and the classes of the objects in it.
FAMILIES = {
    "adapter-qwen25vl/src/__fixtures__": ("Qwen2_5_VLConfig", "Qwen2_5_VLTextConfig", "Qwen2_5_VLVisionConfig"),
    "adapter-internvl3/src/__fixtures__": ("InternVLConfig", "Qwen2Config", "InternVLVisionConfig"),
    "adapter-llava/src/next-video/__fixtures__": ("LlavaNextVideoConfig", "LlamaConfig", "CLIPVisionConfig"),
    "adapter-llava/src/onevision/__fixtures__": ("LlavaOnevisionConfig", "Qwen2Config", "SiglipVisionConfig"),
}


def kept(value):
    if isinstance(value, dict):
        return {key: kept(each) for key, each in value.items() if key not in LEFT_OUT}
    return list(value) if isinstance(value, tuple) else value


def defaults(name):
    config = getattr(transformers, name)()
    nested = getattr(config, "sub_configs", {})
    return {key: value for key, value in kept(config.to_dict()).items() if key not in nested}


for place, (root, text, vision) in FAMILIES.items():
    folder = PACKAGES / place
    folder.mkdir(parents=True, exist_ok=True)
    content = {
        "script": "reference/config_defaults.py",
        "transformers": transformers.__version__,
        "classes": {role: {"class": name, "defaults": defaults(name)} for role, name in
                    (("root", root), ("text", text), ("vision", vision))},
        # What an empty file stands for: the objects in it may have other defaults than their classes.
        "empty": kept(getattr(transformers, root)().to_dict()),
    }
    (folder / "config-defaults.json").write_text(json.dumps(content) + "\n")
    print(place, sum(len(each["defaults"]) for each in content["classes"].values()), "defaults")
