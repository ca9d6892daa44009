"""Puts what `save.py` wrote for many releases together, for the tests of the adapters.

    python reference/releases/collect.py FOLDER

FOLDER holds FAMILY-RELEASE.json. Writes a file in packages/<adapter>/src/__fixtures__ per family: the JSON files that each release of
transformers saves beside the weights and the names of its tensors, releases with equal folders together.
"""

import json
import sys
from pathlib import Path

PACKAGES = Path(__file__).parent.parent.parent / "packages"
TARGETS = {
    "qwen2.5-vl": "adapter-qwen25vl/src/__fixtures__/releases.json",
    "internvl3": "adapter-internvl3/src/__fixtures__/releases.json",
    "llava-next-video": "adapter-llava/src/__fixtures__/releases.json",
    "llava-onevision": "adapter-llava/src/__fixtures__/onevision-releases.json",
}


def order(path):
    return [int(part) for part in path.stem.split("-")[-1].split(".")]


def without_version(value):
    if isinstance(value, dict):
        return {key: without_version(each) for key, each in value.items() if key not in ("transformers_version", "_name_or_path")}
    return value


for family, file in TARGETS.items():
    groups, lists = {}, []
    for path in sorted(Path(sys.argv[1]).glob(f"{family}-[0-9]*.json"), key=order):
        saved = json.loads(path.read_text())
        tensors = sorted(saved["tensors"])
        if tensors not in lists:
            lists.append(tensors)
        files = json.dumps(without_version(saved["files"]), sort_keys=True)
        which = lists.index(tensors)
        group = groups.setdefault((files, which), {"releases": [], "tensors": which, "files": json.loads(files)})
        group["releases"].append(saved["transformers"])
    content = {"script": "reference/releases/save.py, collect.py", "tensors": lists, "saved": list(groups.values())}
    target = PACKAGES / file
    target.parent.mkdir(exist_ok=True)
    target.write_text(json.dumps(content) + "\n")
    print(family, len(groups), "different folders of", sum(len(each["releases"]) for each in groups.values()), "releases")
