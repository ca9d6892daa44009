"""`busy-peer.py SETTINGS`: says `begun` to a pipe when it is at work, and `done` when that is over, a minute later."""

import json
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[5] / "reference"))

import bench_peer

settings = json.loads(sys.argv[1])
if settings["way"] == "asked":
    print("{}", flush=True)
    next(bench_peer.asked)
with open(settings["fifo"], "w") as pipe:
    print("begun", file=pipe, flush=True)
    time.sleep(60)
    print("done", file=pipe, flush=True)
