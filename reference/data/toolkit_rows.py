"""Rows of other toolkits, and what their own published readers make of them.

The readers are loaded from the published packages, without the libraries that they only need for training:
    pip install --no-deps llamafactory==0.9.5 ms-swift==4.6.0
Run: python reference/data/toolkit_rows.py
"""
import importlib.util
import json
import sys
import types
from importlib.metadata import distribution
from pathlib import Path
from types import SimpleNamespace

OUT = Path(__file__).parents[2] / "packages/core/src/data/__golden__/toolkit-rows"
IMAGES = ["a.png", "b.png"]

SHAREGPT = [
    {"conversations": [{"from": "human", "value": "<image><image>Left or right?"}, {"from": "gpt", "value": "Left."}],
     "images": IMAGES},
    {"conversations": [{"from": "system", "value": "Be short."}, {"from": "human", "value": "<image>What?"},
                       {"from": "gpt", "value": "A chair."}], "images": IMAGES[:1]},
]
OPENAI = [
    {"messages": [{"role": "user", "content": "<image>Who?"}, {"role": "assistant", "content": "Nobody."}],
     "images": IMAGES[:1]},
    {"messages": [{"role": "system", "content": "Be short."}, {"role": "user", "content": "<image><image>Which?"},
                  {"role": "assistant", "content": "The second."}], "images": IMAGES},
]
ALPACA = [
    {"instruction": "<image>Describe.", "input": "", "output": "A room.", "images": IMAGES[:1]},
    {"instruction": "<image>Count", "input": "the chairs.", "output": "Two.", "system": "Be short.", "images": IMAGES[:1]},
]
QUERY = [
    {"query": "<image>Count the chairs.", "response": "Two.", "images": IMAGES[:1]},
    {"query": "<image><image>Same room?", "response": "Yes.", "system": "Be short.", "images": IMAGES},
]


def load(distribution_name, path, stubs):
    """A module of a package without the package around it."""
    for name, members in stubs.items():
        module = types.ModuleType(name)
        module.__path__ = []
        for member, value in members.items():
            setattr(module, member, value)
        sys.modules[name] = module
    file = distribution(distribution_name).locate_file(path)
    name = str(path).removesuffix(".py").replace("/", ".")
    spec = importlib.util.spec_from_file_location(name, file)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


class Anything:
    """Stands for what is imported and not used here."""
    def __getattr__(self, _):
        return Anything()

    def __call__(self, *_, **__):
        return Anything()


def llama_factory():
    roles = SimpleNamespace(**{name: SimpleNamespace(value=name.lower())
                               for name in ["USER", "ASSISTANT", "SYSTEM", "FUNCTION", "OBSERVATION"]})
    converter = load("llamafactory", "llamafactory/data/converter.py", {
        "llamafactory": {}, "llamafactory.data": {}, "llamafactory.extras": {"logging": Anything()},
        "llamafactory.data.data_utils": {"Role": roles},
    })
    common = {"ranking": False, "kto_tag": None, "tools": None, "videos": None, "audios": None, "images": "images",
              "load_from": "memory", "observation_tag": "observation", "function_tag": "function_call",
              "system_tag": "system", "history": None}
    arguments = SimpleNamespace(media_dir=".")

    def sharegpt(rows, **tags):
        for row in rows:
            attributes = SimpleNamespace(**common | tags, system="system" if "system" in row else None)
            yield converter.SharegptDatasetConverter(attributes, arguments)(row)

    def alpaca(rows):
        for row in rows:
            attributes = SimpleNamespace(**common, prompt="instruction", query="input", response="output",
                                         system="system" if "system" in row else None)
            yield converter.AlpacaDatasetConverter(attributes, arguments)(row)

    def plain(made):
        return [{"system": row["_system"] or "", "question": row["_prompt"][-1]["content"],
                 "answer": row["_response"][0]["content"], "images": row["_images"]} for row in made]

    return {
        "sharegpt": plain(sharegpt(SHAREGPT, messages="conversations", role_tag="from", content_tag="value",
                                   user_tag="human", assistant_tag="gpt")),
        "openai": plain(sharegpt(OPENAI, messages="messages", role_tag="role", content_tag="content", user_tag="user",
                                 assistant_tag="assistant")),
        "alpaca": plain(alpaca(ALPACA)),
    }


def swift():
    def history_to_messages(history, system=None):
        messages = [] if system is None else [{"role": "system", "content": system}]
        for query, response in history:
            messages += [{"role": "user", "content": query}, {"role": "assistant", "content": response}]
        return messages

    names = ["get_logger", "is_dist", "is_master", "remove_arrow_padding", "safe_ddp_context"]
    core = load("ms-swift", "swift/dataset/preprocessor/core.py", {
        "datasets": dict.fromkeys(["Dataset", "IterableDataset", "Image", "Value"], object),
        "modelscope": {}, "modelscope.hub": {}, "modelscope.hub.utils": {},
        "modelscope.hub.utils.utils": {"get_cache_dir": Anything()},
        "swift": {}, "swift.dataset": {}, "swift.dataset.preprocessor": {},
        "swift.template": {"history_to_messages": history_to_messages},
        "swift.template.template_inputs": {"normalize_openai_tool_calls": lambda messages: messages},
        "swift.utils": {"TOOL_KEYS": []} | {name: Anything() for name in names},
    })

    def read(rows):
        reader = core.AutoPreprocessor()
        for row in json.loads(json.dumps(rows)):
            chosen = reader._get_preprocessor(SimpleNamespace(features=row))
            # Columns are renamed to what the reader takes; the alpaca reader takes them as they are.
            columns = {} if isinstance(chosen, core.AlpacaPreprocessor) else chosen.columns
            made = chosen.preprocess({columns.get(name, name): value for name, value in row.items()})
            turns = {turn["role"]: turn["content"] for turn in made["messages"]}
            yield {"system": turns.get("system") or "", "question": turns["user"], "answer": turns["assistant"],
                   "images": made["images"]}

    return {"sharegpt": list(read(SHAREGPT)), "openai": list(read(OPENAI)), "alpaca": list(read(ALPACA)),
            "query": list(read(QUERY))}


made = {"llamafactory": llama_factory(), "ms-swift": swift()}
OUT.mkdir(parents=True, exist_ok=True)
case = {
    "script": "reference/data/toolkit_rows.py",
    "versions": {name: distribution(name).version for name in ["llamafactory", "ms-swift"]},
    "tolerance": "0: texts are equal, after the placeholders that stand for images in front of the question",
    "rows": {"sharegpt": SHAREGPT, "openai": OPENAI, "alpaca": ALPACA, "query": QUERY},
    "read": made,
}
(OUT / "case.json").write_text(json.dumps(case, indent=1) + "\n")
