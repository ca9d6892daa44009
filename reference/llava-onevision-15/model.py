"""LLaVA-OneVision-1.5 from stock classes of transformers: MLCD tower, merger, Qwen3 decoder. Images are encoded one by one."""

import json
from pathlib import Path

import torch
from transformers import AutoTokenizer, MLCDVisionConfig, MLCDVisionModel, Qwen3Config, Qwen3ForCausalLM
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil
from transformers.models.qwen3.modeling_qwen3 import Qwen3RMSNorm  # noqa: F401  (fails early in other versions)

TOWER = {"pre_layrnorm.": "pre_layernorm.", "embeddings.class_embedding": "class_embedding", "embeddings.patch_embedding.": "patch_embed.proj."}
BLOCK = {"layer_norm1.": "norm1.", "layer_norm2.": "norm2.", "self_attn.out_proj.": "attn.proj.", "self_attn.": "attn."}


def read_config(folder: Path) -> dict:
    return json.loads((Path(folder) / "config.json").read_text())


class OneVision15(torch.nn.Module):
    def __init__(self, config: dict):
        super().__init__()
        vision, text = config["vision_config"], dict(config["text_config"])
        text.pop("model_type")
        self.image_token_id = config["image_token_id"]
        self.patch = vision["patch_size"]
        self.tower = MLCDVisionModel._from_config(
            MLCDVisionConfig(
                hidden_size=vision["hidden_size"],
                intermediate_size=vision["intermediate_size"],
                num_hidden_layers=vision["depth"],
                num_attention_heads=vision["num_heads"],
                patch_size=vision["patch_size"],
                hidden_act=vision["hidden_act"],
                layer_norm_eps=vision["layer_norm_eps"],
                image_size=56,
            ),
            attn_implementation="eager",
        )
        cell = 4 * vision["hidden_size"]
        self.ln_q = torch.nn.LayerNorm(vision["hidden_size"], eps=vision["layer_norm_eps"])
        self.mlp = torch.nn.Sequential(
            torch.nn.Linear(cell, cell), torch.nn.GELU(), torch.nn.Linear(cell, vision["text_hidden_size"])
        )
        self.language = Qwen3ForCausalLM._from_config(Qwen3Config(**text), attn_implementation="eager")

    def encode(self, patches: torch.Tensor, grid) -> tuple[list[torch.Tensor], torch.Tensor]:
        """@param patches (P, 588) cell by cell. @return (P, C) states row by row, and the projected rows of the view."""
        _, h, w = (int(side) for side in grid)
        p = self.patch
        pixels = patches.reshape(h // 2, w // 2, 2, 2, 3, p, p).permute(4, 0, 2, 5, 1, 3, 6).reshape(1, 3, h * p, w * p)
        states = []
        hook = self.tower.pre_layrnorm.register_forward_hook(lambda *a: states.append(a[-1]))
        hooks = [layer.register_forward_hook(lambda *a: states.append(a[-1])) for layer in self.tower.encoder.layers]
        self.tower(pixel_values=pixels)
        for one in (hook, *hooks):
            one.remove()
        rows = [(s[0] if isinstance(s, tuple) else s)[0, 1:] for s in states]
        cells = rows[-1].reshape(h // 2, 2, w // 2, 2, -1).permute(0, 2, 1, 3, 4).reshape(h * w, -1)
        return rows, self.mlp(self.ln_q(cells).reshape(h * w // 4, -1))

    def embed(self, ids: torch.Tensor, rows: torch.Tensor | None) -> torch.Tensor:
        """(T) ids and all visual rows → (1, T, C)."""
        embeddings = self.language.get_input_embeddings()(ids)
        if rows is not None:
            places = (ids == self.image_token_id)[:, None].expand_as(embeddings)
            assert int(places[:, 0].sum()) == len(rows)
            embeddings = embeddings.masked_scatter(places, rows)
        return embeddings[None]


def published(name: str) -> str:
    """Name in published checkpoints; q, k and v of the tower come as `qkv.q`, `qkv.k`, `qkv.v` and are rows of one tensor."""
    if name.startswith("language."):
        return name[len("language.") :]
    if name.startswith(("ln_q.", "mlp.")):
        return f"visual.merger.{name}"
    name = name[len("tower.") :]
    if name.startswith("encoder.layers."):
        _, _, block, rest = name.split(".", 3)
        for old, new in BLOCK.items():
            if rest.startswith(old):
                rest = new + rest[len(old) :]
                break
        return f"visual.blocks.{block}.{rest}"
    for old, new in TOWER.items():
        name = name.replace(old, new)
    return f"visual.{name}"


def split_qkv(name: str) -> tuple[str, int] | None:
    """The fused tensor that holds a q, k or v tensor of the tower, and which third of it."""
    for part, third in (("q_proj", 0), ("k_proj", 1), ("v_proj", 2)):
        if name.startswith("visual.") and f".attn.{part}." in name:
            return name.replace(part, "qkv"), third
    return None


def load(model: OneVision15, tensor_of) -> OneVision15:
    """@param tensor_of gives the published tensor of a name and a shape. Nothing is kept of the unused last norm."""
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            key = published(name)
            if key.startswith("visual.post_layernorm."):
                continue
            fused = split_qkv(key)
            if fused is None:
                parameter.copy_(tensor_of(key, tuple(parameter.shape)))
                continue
            whole = tensor_of(fused[0], (3 * parameter.shape[0], *parameter.shape[1:]))
            parameter.copy_(whole.chunk(3)[fused[1]])
    return model.eval().float()


def make_tokenizer(folder: Path):
    return AutoTokenizer.from_pretrained(folder)


def make_images(folder: Path) -> Qwen2VLImageProcessorPil:
    return Qwen2VLImageProcessorPil.from_pretrained(folder)
