"""VGGT at any size, assembled from the submodules of the official code, which its own constructor cannot do.

The official code (github.com/facebookresearch/vggt) is imported from a folder that the caller names.
"""
import sys
import types
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import nn

sys.path.insert(0, str(Path(__file__).parents[1] / "heads"))
from fill import fill, uniform  # noqa: E402

# Every size of the released model; keys as in config.json of our small folders.
RELEASED = dict(img_size=518, patch_size=14, embed_dim=1024, encoder_depth=24, encoder_heads=16, depth=24, num_heads=16,
                num_register_tokens=4, camera_depth=4, camera_heads=16, dpt_features=256,
                dpt_out_channels=[256, 512, 1024, 1024], dpt_layers=[4, 11, 17, 23])


def import_reference(folder):
    """Makes the package `vggt` importable; torchvision, of which it wants one function, is not needed."""
    sys.path.insert(0, str(folder))
    if "torchvision" not in sys.modules:
        stub, transforms = types.ModuleType("torchvision"), types.ModuleType("torchvision.transforms")
        transforms.ToTensor = lambda: lambda image: torch.from_numpy(np.array(image)).permute(2, 0, 1).float().div(255)
        stub.transforms = transforms
        sys.modules.update({"torchvision": stub, "torchvision.transforms": transforms})


class Vggt(nn.Module):
    def __init__(self, c):
        super().__init__()
        from vggt.heads.camera_head import CameraHead
        from vggt.heads.dpt_head import DPTHead
        from vggt.layers.vision_transformer import DinoVisionTransformer
        from vggt.models.aggregator import Aggregator

        width, registers = c["embed_dim"], c["num_register_tokens"]
        self.aggregator = Aggregator(c["img_size"], c["patch_size"], width, c["depth"], c["num_heads"],
                                     num_register_tokens=registers, patch_embed="conv")
        self.aggregator.patch_embed = DinoVisionTransformer(
            img_size=c["img_size"], patch_size=c["patch_size"], embed_dim=width, depth=c["encoder_depth"],
            num_heads=c["encoder_heads"], mlp_ratio=4, num_register_tokens=registers, interpolate_antialias=True,
            interpolate_offset=0.0, block_chunks=0, init_values=1.0)
        self.camera_head = CameraHead(2 * width, c["camera_depth"], num_heads=c["camera_heads"])
        dense = partial(DPTHead, 2 * width, c["patch_size"], conf_activation="expp1", features=c["dpt_features"],
                        out_channels=c["dpt_out_channels"], intermediate_layer_idx=c["dpt_layers"])
        self.depth_head = dense(output_dim=2, activation="exp")
        self.point_head = dense(output_dim=4, activation="inv_log")

    def forward(self, images):
        """Named tensors of one view set (S, 3, H, W), the batch axis removed."""
        aggregator, start = self.aggregator, self.aggregator.patch_start_idx
        encoder, batch = aggregator.patch_embed, images[None]
        height, width = images.shape[2:]
        normed = (images - aggregator._resnet_mean[0]) / aggregator._resnet_std[0]
        patches = encoder(normed)["x_norm_patchtokens"]
        outputs, _ = aggregator(batch)
        poses = self.camera_head(outputs)
        depth, depth_confidence = self.depth_head(outputs, batch, start)
        points, point_confidence = self.point_head(outputs, batch, start)
        from vggt.utils.pose_enc import pose_encoding_to_extri_intri
        extrinsics, intrinsics = pose_encoding_to_extri_intri(poses[-1], (height, width))
        tokens = torch.empty(1, 1 + patches.shape[1], patches.shape[2], dtype=patches.dtype)
        resampled = encoder.interpolate_pos_encoding(tokens, height, width)
        named = {"positionEmbedding": resampled[0], "patchTokens": patches}
        named |= {f"out.{i}": value[0] for i, value in enumerate(outputs)}
        named |= {f"pose.{i}": value[0] for i, value in enumerate(poses)}
        return named | {"depth": depth[0, ..., 0], "depthConfidence": depth_confidence[0], "points": points[0],
                        "pointConfidence": point_confidence[0], "extrinsics": extrinsics[0],
                        "intrinsics": intrinsics[0], "features": outputs[-1][0, :, start:]}


def fill_parameter(name, shape):
    if name.endswith(".gamma"):
        values = 0.6 + 0.2 * uniform(name, int(np.prod(shape)))
        return torch.from_numpy(values.astype(np.float32)).double().reshape(tuple(shape))
    return fill(name, shape)


def filled(config):
    """The model in float64 with weights made from their names."""
    model = Vggt(config).double().eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.copy_(fill_parameter(name, parameter.shape))
    return model


def images(views, height, width):
    """(S, 3, H, W) in 0..1, smooth and different in every view and channel."""
    s, c, y, x = np.meshgrid(range(views), range(3), range(height), range(width), indexing="ij")
    values = 0.5 + 0.45 * np.sin(0.11 * (c + 1) * x + 0.07 * (s + 2) * y + 0.5 * c + 0.9 * s)
    return torch.from_numpy(values.astype(np.float32)).double()
