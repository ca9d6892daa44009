"""Small Depth Anything 3 networks, made of the official modules and filled from the names of their tensors."""
import math
import sys
import types
from pathlib import Path

import numpy as np
import torch
from torch import nn

sys.path.insert(0, str(Path(__file__).parents[1] / "heads"))
from fill import uniform  # noqa: E402

# Pixels at the base grid: 4 × 4 patches.
IMAGE_SIZE = 56
DUAL = dict(kind="dual", channels=32, depth=8, heads=2, start=2, taps=[3, 5, 6, 7], mlp="mlp", concat=True,
            features=16, stages=[8, 16, 24, 24], cameraHeads=4, cameraDepth=2)
SWIGLU = DUAL | dict(mlp="swiglu")
MONO = dict(kind="mono", channels=32, depth=4, heads=2, start=-1, taps=[0, 1, 2, 3], mlp="mlp", concat=False,
            features=16, stages=[8, 16, 24, 24])


def install(reference):
    """Makes the official code importable; it only wants a few transforms of torchvision."""
    sys.path.insert(0, str(reference / "src"))
    try:
        import torchvision.transforms  # noqa: F401
    except ImportError:
        stand_in()
    # Upstream casts heads to float32; the goldens are float64.
    torch.Tensor.float = torch.Tensor.double


def stand_in():
    transforms = types.ModuleType("torchvision.transforms")

    class ToTensor:
        def __call__(self, image):
            return torch.from_numpy(np.array(image)).permute(2, 0, 1).to(torch.float32).div(255)

    class Normalize:
        def __init__(self, mean, std):
            self.mean, self.std = (torch.tensor(v, dtype=torch.float32)[:, None, None] for v in (mean, std))

        def __call__(self, image):
            return (image - self.mean) / self.std

    class CenterCrop:
        def __init__(self, size):
            self.size = size

        def __call__(self, image):
            (height, width), (h, w) = image.shape[-2:], self.size
            top, left = round((height - h) / 2), round((width - w) / 2)
            return image[..., top:top + h, left:left + w]

    for thing in (ToTensor, Normalize, CenterCrop):
        setattr(transforms, thing.__name__, thing)
    package = types.ModuleType("torchvision")
    package.transforms = transforms
    sys.modules |= {"torchvision": package, "torchvision.transforms": transforms}
    for name in ("imageio", "tqdm"):
        if name not in sys.modules:
            module = types.ModuleType(name)
            module.tqdm = lambda items, **_: items
            sys.modules[name] = module


class Backbone(nn.Module):
    def __init__(self, config):
        from depth_anything_3.model.dinov2.vision_transformer import DinoVisionTransformer
        super().__init__()
        start = config["start"]
        self.taps = config["taps"]
        self.pretrained = DinoVisionTransformer(
            img_size=IMAGE_SIZE, patch_size=14, embed_dim=config["channels"], depth=config["depth"],
            num_heads=config["heads"], mlp_ratio=4, ffn_layer=config["mlp"], alt_start=start, qknorm_start=start,
            rope_start=start, cat_token=config["concat"])

    def forward(self, x, **options):
        return self.pretrained.get_intermediate_layers(x, self.taps, **options)


def network(config):
    from depth_anything_3.model.da3 import DepthAnything3Net
    from depth_anything_3.model.cam_dec import CameraDec
    from depth_anything_3.model.cam_enc import CameraEnc
    from depth_anything_3.model.dpt import DPT
    from depth_anything_3.model.dualdpt import DualDPT
    width = config["channels"] * (2 if config["concat"] else 1)
    shape = dict(features=config["features"], out_channels=config["stages"])
    if config["kind"] == "mono":
        return DepthAnything3Net(Backbone(config), DPT(width, output_dim=1, **shape))
    encoder = CameraEnc(dim_out=config["channels"], num_heads=config["cameraHeads"], trunk_depth=config["cameraDepth"])
    return DepthAnything3Net(Backbone(config), DualDPT(width, output_dim=2, **shape), CameraDec(width), encoder)


def nested(anyview, metric):
    from depth_anything_3.model.da3 import NestedDepthAnything3Net
    net = NestedDepthAnything3Net.__new__(NestedDepthAnything3Net)
    nn.Module.__init__(net)
    net.da3, net.da3_metric = network(anyview), network(metric)
    return net


def values(name, shape):
    shape = tuple(shape)
    u = uniform(name, int(np.prod(shape)))
    if name.endswith(".gamma"):
        filled = 0.6 + 0.2 * u
    elif len(shape) == 1 and name.endswith(".weight"):
        filled = 1 + 0.1 * u
    elif name.endswith("bias"):
        filled = 0.1 * u
    elif len(shape) >= 2 and name.endswith("weight"):
        filled = u * math.sqrt(3 / (u.size / shape[0]))
    else:
        filled = 0.5 * u
    return torch.from_numpy(filled.astype(np.float32)).double().reshape(shape)


def filled(net, shifts):
    """Parameters from their names; `named_parameters` gives the layer norm that the ray levels share once."""
    net.double().eval()
    with torch.no_grad():
        for name, parameter in net.named_parameters():
            parameter.copy_(values(name, parameter.shape) + shifts.get(name, 0))
    return net


def images(views, height, width):
    """(1, S, 3, H, W) normalised waves."""
    s, c, y, x = np.ogrid[0:views, 0:3, 0:height, 0:width]
    wave = 0.5 + 0.45 * np.sin(0.11 * (c + 1) * x + 0.07 * (s + 2) * y + 0.5 * c + 0.9 * s)
    mean, std = (np.array(v)[:, None, None] for v in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
    return torch.from_numpy((wave.astype(np.float32).astype(np.float64) - mean) / std)[None]
