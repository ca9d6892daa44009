"""LLaVA-NeXT-Video with SigLIP and Qwen2, put together from stock parts of transformers as LLaVA-VL/LLaVA-NeXT does
(llava/model/llava_arch.py: encode_images, get_2dPool, add_token_per_grid, add_token_per_frame)."""

import math

import torch
from torch import nn
from torch.nn import functional
from transformers import Qwen2Config, Qwen2ForCausalLM, SiglipVisionConfig, SiglipVisionModel
from transformers.models.siglip.image_processing_pil_siglip import SiglipImageProcessorPil

TOWER = "model.vision_tower.vision_tower.vision_model."
PROJECTOR = "model.mm_projector."
NEWLINE = "model.image_newline"
NOT_OF_QWEN2 = ("mm_", "vision_config", "architectures", "model_type", "rope_scaling")


class LlavaQwen(nn.Module):
    """@param config content of config.json, with the sizes of the tower in `vision_config`."""

    def __init__(self, config: dict):
        super().__init__()
        self.config = config
        vision = {key: value for key, value in config["vision_config"].items() if key != "model_type"}
        tower = SiglipVisionModel._from_config(
            SiglipVisionConfig(**vision, vision_use_head=False), attn_implementation="eager"
        )
        self.tower = getattr(tower, "vision_model", tower)
        del self.tower.encoder.layers[-1:]
        self.side = vision["image_size"] // vision["patch_size"]
        text = {key: value for key, value in config.items() if not key.startswith(NOT_OF_QWEN2)}
        self.decoder = Qwen2ForCausalLM._from_config(Qwen2Config(**text), attn_implementation="eager")
        width, hidden = vision["hidden_size"], config["hidden_size"]
        self.projector = nn.Sequential(nn.Linear(width, hidden), nn.GELU(), nn.Linear(hidden, hidden))
        self.newline = nn.Parameter(torch.zeros(hidden))
        size = vision["image_size"]
        self.processor = SiglipImageProcessorPil(
            size={"height": size, "width": size}, image_mean=[0.5] * 3, image_std=[0.5] * 3, resample=3
        )

    def published(self):
        """Pairs of published name and parameter."""
        yield NEWLINE, self.newline
        for scope, part in ((TOWER, self.tower), (PROJECTOR, self.projector), ("", self.decoder)):
            for name, parameter in part.named_parameters():
                yield scope + name, parameter

    def pixels(self, images) -> torch.Tensor:
        """(V, 3, H, W)."""
        return torch.cat([self.processor(images=[image], return_tensors="pt")["pixel_values"] for image in images])

    def vision_states(self, pixels: torch.Tensor) -> list[torch.Tensor]:
        """What enters the first block, and the output of each block, (V, P, C)."""
        states = []
        take = lambda _, __, output: states.append(output[0] if isinstance(output, tuple) else output)
        hooks = [part.register_forward_hook(take) for part in (self.tower.embeddings, *self.tower.encoder.layers)]
        self.tower(pixels)
        for hook in hooks:
            hook.remove()
        return states

    def pooled(self, rows: torch.Tensor) -> torch.Tensor:
        """(V, side², C) → (V, pooled², C)."""
        grid = rows.reshape(-1, self.side, self.side, rows.shape[-1]).permute(0, 3, 1, 2)
        mode = self.config["mm_spatial_pool_mode"]
        if mode == "average":
            grid = functional.avg_pool2d(grid, 2)
        elif mode == "max":
            grid = functional.max_pool2d(grid, 2)
        else:
            grid = functional.interpolate(grid, size=[math.ceil(self.side / 2)] * 2, mode="bilinear")
        return grid.permute(0, 2, 3, 1).flatten(1, 2)

    def with_newlines(self, rows: torch.Tensor) -> torch.Tensor:
        """(V, n, C) → (N, C)."""
        views, cells, width = rows.shape
        position = self.config["mm_newline_position"]
        if position == "grid":
            side = math.isqrt(cells)
            column = self.newline.expand(views, side, 1, width)
            return torch.cat([rows.reshape(views, side, side, width), column], 2).reshape(-1, width)
        if position == "frame":
            return torch.cat([rows, self.newline.expand(views, 1, width)], 1).reshape(-1, width)
        flat = rows.reshape(-1, width)
        return torch.cat([flat, self.newline[None]]) if position == "one_token" else flat

    def visual_rows(self, pixels: torch.Tensor) -> torch.Tensor:
        return self.with_newlines(self.pooled(self.projector(self.vision_states(pixels)[-1])))

    def embeddings(self, before: list[int], rows: torch.Tensor, behind: list[int]) -> torch.Tensor:
        """(1, T, C) of the ids around the video and of its rows."""
        table = self.decoder.get_input_embeddings()
        parts = [table(torch.tensor(before)), rows, table(torch.tensor(behind))]
        return torch.cat(parts)[None]
