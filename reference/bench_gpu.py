"""Peer of `npm run bench -- gpu`: a decoder in PyTorch with scaled dot-product attention.

usage: python bench_gpu.py '{"what":"step","device":"cuda","precision":"bfloat16","hiddenSize":2048,"intermediateSize":11008,
                             "heads":16,"kvHeads":2,"headDim":128,"layers":36,"vocabularySize":151936,"tokens":4096}'

`step` trains everything: float32 parameters, under autocast where the precision is of 16 bits, every layer recomputed in the backward
pass, AdamW (fused on a GPU). `answers` runs a prompt and single tokens after it, with weights and a cache of the precision. Prints a
line when it is ready, then for each line on standard input what one round took, in milliseconds, and the peak of memory in MiB.
"""

import json
import os
import resource
import statistics
import sys
import time

import bench_peer  # Ends this process with the bench.

import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.checkpoint import checkpoint

DECODED = 16
TYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


def peak_mb(device):
    """The most that tensors took at once on a GPU, since its counter was reset; on the CPU, of all resident memory of the process."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**20
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def follow_tf32():
    """TensorFloat-32 in float32 where SPATIALSV_TF32 has it for us; by default PyTorch has it in convolutions and not in products."""
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = os.environ.get("SPATIALSV_TF32") == "1"


def narrowed(device, precision):
    """Autocast of products to a precision of 16 bits; nothing in float32."""
    return torch.autocast(device.type, TYPES[precision] if precision != "float32" else torch.bfloat16, enabled=precision != "float32")


def rotate(x, cos, sin):
    first, second = x.chunk(2, -1)
    return torch.cat((first * cos - second * sin, second * cos + first * sin), -1)


class Norm(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))

    def forward(self, x):
        return F.rms_norm(x, self.weight.shape, self.weight, 1e-6)


class Block(nn.Module):
    def __init__(self, size):
        super().__init__()
        width, inner, self.dim = size["hiddenSize"], size["intermediateSize"], size["headDim"]
        self.heads, self.kv_heads = size["heads"], size["kvHeads"]
        self.input_norm, self.post_norm = Norm(width), Norm(width)
        self.q = nn.Linear(width, self.heads * self.dim)
        self.k, self.v = (nn.Linear(width, self.kv_heads * self.dim) for _ in range(2))
        self.o = nn.Linear(self.heads * self.dim, width, bias=False)
        self.gate, self.up = (nn.Linear(width, inner, bias=False) for _ in range(2))
        self.down = nn.Linear(inner, width, bias=False)

    def forward(self, x, cos, sin, cache=None, at=0):
        n = self.input_norm(x)
        by_head = lambda y, heads: y.view(len(x), heads, self.dim).transpose(0, 1)
        q, k = rotate(by_head(self.q(n), self.heads), cos, sin), rotate(by_head(self.k(n), self.kv_heads), cos, sin)
        v = by_head(self.v(n), self.kv_heads)
        if cache is not None:
            cache[0][:, at : at + len(x)], cache[1][:, at : at + len(x)] = k, v
            k, v = cache[0][:, : at + len(x)], cache[1][:, : at + len(x)]
        q, k = q.to(v.dtype), k.to(v.dtype)
        mixed = F.scaled_dot_product_attention(q[None], k[None], v[None], is_causal=len(x) > 1, enable_gqa=True)[0]
        x = x + self.o(mixed.transpose(0, 1).reshape(len(x), -1))
        n = self.post_norm(x)
        return x + self.down(F.silu(self.gate(n)) * self.up(n))


class Decoder(nn.Module):
    def __init__(self, size):
        super().__init__()
        self.embed = nn.Embedding(size["vocabularySize"], size["hiddenSize"])
        self.blocks = nn.ModuleList(Block(size) for _ in range(size["layers"]))
        self.norm = Norm(size["hiddenSize"])
        half = size["headDim"] // 2
        inverse = 1e6 ** (-torch.arange(half) / half)
        angles = torch.arange(size["tokens"] + 64)[:, None] * inverse
        self.register_buffer("cos", angles.cos())
        self.register_buffer("sin", angles.sin())

    def forward(self, ids, caches=None, at=0, recompute=False):
        x = self.embed(ids)
        cos, sin = (table[at : at + len(ids)].to(x.dtype) for table in (self.cos, self.sin))
        for index, block in enumerate(self.blocks):
            if recompute:
                x = checkpoint(block, x, cos, sin, use_reentrant=False)
            else:
                x = block(x, cos, sin, None if caches is None else caches[index], at)
        if caches is not None:
            x = x[-1:]
        return F.linear(self.norm(x), self.embed.weight)


def main():
    size = json.loads(sys.argv[1])
    device = torch.device(size["device"])
    on_gpu = device.type == "cuda"
    wait = (lambda: torch.cuda.synchronize(device)) if on_gpu else (lambda: None)

    def milliseconds(action):
        wait()
        started = time.perf_counter()
        action()
        wait()
        return 1000 * (time.perf_counter() - started)

    follow_tf32()
    torch.manual_seed(0)
    tokens = size["tokens"]
    with device:
        model = Decoder(size)
        ids = torch.randint(size["vocabularySize"], (tokens,))
        targets = torch.randint(size["vocabularySize"], (tokens,))
    if size["what"] == "step":
        optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, weight_decay=0.0, fused=on_gpu)

        def step():
            optimizer.zero_grad(set_to_none=True)
            with narrowed(device, size["precision"]):
                loss = F.cross_entropy(model(ids, recompute=True).float(), targets)
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()

        work = lambda: {"step_ms": milliseconds(step)}
    else:
        model = model.to(TYPES[size["precision"]])
        shape = (size["kvHeads"], tokens + 64, size["headDim"])
        caches = [[torch.zeros(shape, dtype=model.norm.weight.dtype, device=device) for _ in range(2)] for _ in model.blocks]

        @torch.inference_mode()
        def answers():
            prefill = milliseconds(lambda: model(ids, caches))
            decode = [milliseconds(lambda: model(ids[:1], caches, tokens + i)) for i in range(DECODED)]
            return {"prefill_ms": prefill, "token_ms": statistics.median(decode)}

        work = answers
    work()
    parameters = sum(parameter.numel() for parameter in model.parameters())
    print(json.dumps({"torch": torch.__version__, "parameters": parameters}), flush=True)
    for _ in bench_peer.asked:
        print(json.dumps({**work(), "peak_mb": peak_mb(device)}), flush=True)


if __name__ == "__main__":
    main()
