"""Reads the event files of a run folder with TensorBoard's own reader and compares them with metrics.jsonl.

usage: python reference/train/check_events.py RUN   (needs the package tensorboard)
"""

import json
import sys
from pathlib import Path

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

run = Path(sys.argv[1])
steps = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
events = EventAccumulator(str(run), size_guidance={"scalars": 0}).Reload()
tags = events.Tags()["scalars"]
expected = {
    "loss/total": [(s["step"], s["losses"]["total"]) for s in steps],
    "gradient/norm": [(s["step"], s["gradientNorm"]) for s in steps],
    "held-out/accuracy": [(s["step"], s["heldOut"]["accuracy"]) for s in steps if s.get("heldOut", {}).get("accuracy") is not None],
}
failed = False
for tag, values in expected.items():
    found = [(e.step, e.value) for e in events.Scalars(tag)] if tag in tags else []
    equal = len(found) == len(values) and all(a[0] == b[0] and abs(a[1] - b[1]) <= 1e-6 * max(1, abs(b[1])) for a, b in zip(found, values))
    failed |= not equal
    print(f"{tag}: {len(found)} values, {'equal' if equal else 'DIFFERENT'}")
sys.exit(failed)
