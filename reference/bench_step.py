"""The training step of `npm run bench -- engine` in PyTorch eager mode, on the CPU with all of its cores.

usage: python bench_step.py '{"hiddenSize":512,"intermediateSize":2048,"heads":8,"layers":4,"vocabularySize":8192,"tokens":512}'
Prints a JSON object with GFLOP/s of a bare 2048^3 product; then, for each line on standard input, runs one step and prints the
milliseconds of its forward pass, backward pass and AdamW. So two processes can be timed by turns.
"""

import json
import statistics
import sys
import time

import bench_peer  # Ends this process with the bench.

import torch
import torch.nn.functional as F
from torch import nn


class RmsNorm(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))

    def forward(self, x):
        return F.rms_norm(x, self.weight.shape, self.weight, 1e-6)


def rotate(x, cos, sin):
    first, second = x.chunk(2, -1)
    return torch.cat((first * cos - second * sin, second * cos + first * sin), -1)


class Block(nn.Module):
    def __init__(self, width, inner, heads):
        super().__init__()
        self.heads = heads
        self.input_norm = RmsNorm(width)
        self.q, self.k, self.v = (nn.Linear(width, width) for _ in range(3))
        self.o = nn.Linear(width, width, bias=False)
        self.post_norm = RmsNorm(width)
        self.gate, self.up = (nn.Linear(width, inner, bias=False) for _ in range(2))
        self.down = nn.Linear(inner, width, bias=False)

    def forward(self, x, cos, sin):
        tokens, width = x.shape
        n = self.input_norm(x)
        q, k, v = (
            layer(n).view(tokens, self.heads, -1).transpose(0, 1) for layer in (self.q, self.k, self.v)
        )
        q, k = rotate(q, cos, sin), rotate(k, cos, sin)
        mixed = F.scaled_dot_product_attention(q[None], k[None], v[None], is_causal=True)[0]
        x = x + self.o(mixed.transpose(0, 1).reshape(tokens, width))
        n = self.post_norm(x)
        return x + self.down(F.silu(self.gate(n)) * self.up(n))


class Decoder(nn.Module):
    def __init__(self, size):
        super().__init__()
        width, heads = size["hiddenSize"], size["heads"]
        self.embed = nn.Embedding(size["vocabularySize"], width)
        self.blocks = nn.ModuleList(
            Block(width, size["intermediateSize"], heads) for _ in range(size["layers"])
        )
        self.norm = RmsNorm(width)
        self.head = nn.Linear(width, size["vocabularySize"], bias=False)
        half = width // heads // 2
        inverse = 10000.0 ** (-torch.arange(half) / half)
        angles = torch.arange(size["tokens"])[:, None] * inverse
        self.register_buffer("cos", angles.cos())
        self.register_buffer("sin", angles.sin())

    def forward(self, ids):
        x = self.embed(ids)
        for block in self.blocks:
            x = block(x, self.cos, self.sin)
        return self.head(self.norm(x))


def milliseconds(action):
    started = time.perf_counter()
    action()
    return 1000 * (time.perf_counter() - started)


def say(figures):
    print(json.dumps(figures), flush=True)


def main():
    size = json.loads(sys.argv[1])
    torch.manual_seed(0)
    model = Decoder(size)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, weight_decay=0.0)
    ids = torch.randint(size["vocabularySize"], (size["tokens"],))
    targets = torch.randint(size["vocabularySize"], (size["tokens"],))

    def step():
        optimizer.zero_grad(set_to_none=True)
        F.cross_entropy(model(ids), targets).backward()
        optimizer.step()

    a, b = torch.full((2048, 2048), 0.5), torch.full((2048, 2048), 0.5)
    product = statistics.median(milliseconds(lambda: torch.matmul(a, b)) for _ in range(9))
    for _ in range(2):
        step()
    say(
        {
            "matmul_gflops": 2 * 2048**3 / product / 1e6,
            "threads": torch.get_num_threads(),
            "torch": torch.__version__,
        }
    )
    for _ in bench_peer.asked:
        say({"step_ms": milliseconds(step)})


if __name__ == "__main__":
    main()
