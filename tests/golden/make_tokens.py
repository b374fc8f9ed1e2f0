#!/usr/bin/env python3
"""tokenizer.json: token ids that transformers' CLIPTokenizer gives with the mini model's vocabulary."""
import json
import os

os.environ.setdefault("HF_HUB_OFFLINE", "1")
from transformers import CLIPTokenizer  # noqa: E402

HERE = os.path.dirname(os.path.abspath(__file__))
MODEL = os.path.join(HERE, "..", "..", "model-loader", "mini", "model")
PROMPTS = [
    "", " ", "\n\t ", "a", "!", "!!!", "sea!", "! sea !", "?", "...", "a sunset over desert dunes with distant mountains",
    "A Sunset OVER Desert DUNES", "night sea under a starry sky", "green meadow at noon with hills and trees",
    "  many   spaces \t between\nlines  ", "aurora,night,snow", "aurora , night , snow", "snow-covered mountains; pine trees",
    "it's the sea's edge, they're hills, I'll go, we've been, I'd, I'm, don't", "IT'S The SEA'S EDGE",
    "360 degrees", "1234567890", "3.14159", "4k 8K hdr", "year 2026 at 12:30", "50% of the sky", "#1 @home $5 ^_^ a*b=c",
    "(red canyon:1.2) [night|day]", "red_rock_canyon", "path/to/sea\\ocean", "\"quoted\" 'text'", "e-mail me@sea.org",
    "café au lait", "cafe\u0301 au lait", "naïve façade", "ÀÉÎÕÜ", "straße STRASSE", "İstanbul", "Ω ohm ångström",
    "山と海", "море и горы", "הים", "بحر", "समुद्र", "🌅 over the 🌊", "👨‍👩‍👧 family", "e\u00a0non\u2003breaking\u3000spaces",
    "zero\u200bwidth", "ﬁne ligature", "½ moon ² ³", "…—–“”‘’", "\u0007control\u0001chars", "\ufffd replacement",
    "<|startoftext|> sea <|endoftext|>", "<|endoftext|>", "a <|endoftext|> b", "<sea>", "supercalifragilisticexpialidocious",
    "looking up at the cloudy sky at sunset", "low horizon, looking up", "sea " * 75, "sea " * 76, "sea " * 74 + "mountains",
    " ".join(f"word{i}" for i in range(500)), "x" * 600,
]


def main():
    tokenizer = CLIPTokenizer.from_pretrained(MODEL, subfolder="tokenizer")
    ids = tokenizer(PROMPTS, padding="max_length", max_length=77, truncation=True)["input_ids"]
    cases = [{"prompt": p, "ids": i} for p, i in zip(PROMPTS, ids)]
    assert all(len(c["ids"]) == 77 for c in cases)
    import transformers
    head = {"transformers": transformers.__version__, "tokenizer": "model-loader/mini/model/tokenizer", "length": 77,
            "cases": cases}
    text = json.dumps(head).replace('{"prompt"', '\n{"prompt"')
    with open(os.path.join(HERE, "tokenizer.json"), "w") as file:
        file.write(text + "\n")


if __name__ == "__main__":
    main()
