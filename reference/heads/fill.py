"""Deterministic tensors from names, so that neither side has to store weights.

The value of element i of a tensor named n is a function of FNV-1a(n) and i only; the TypeScript tests repeat it.
"""
import numpy as np
import torch


def uniform(name: str, count: int) -> np.ndarray:
    """(count) values in [-1, 1)."""
    state = 2166136261
    for byte in name.encode():
        state = ((state ^ byte) * 16777619) % 2**32
    x = (state + np.arange(count, dtype=np.uint64) * 0x9E3779B9) % 2**32
    x ^= x >> 16
    x = x * 0x7FEB352D % 2**32
    x ^= x >> 15
    x = x * 0x846CA68B % 2**32
    x ^= x >> 16
    return x.astype(np.float64) / 2**31 - 1


def fill(name: str, shape) -> torch.Tensor:
    """Norm weights near 1, biases within 0.1, other weights with unit gain, anything else within 0.5; float32 values."""
    shape = tuple(shape)
    u = uniform(name, int(np.prod(shape)))
    if len(shape) == 1 and name.endswith(".weight"):
        values = 1 + 0.1 * u
    elif name.endswith("bias"):
        values = 0.1 * u
    elif len(shape) >= 2 and name.endswith("weight"):
        values = u * np.sqrt(3 / (u.size / shape[0]))
    else:
        values = 0.5 * u
    return torch.from_numpy(values.astype(np.float32)).double().reshape(shape)
