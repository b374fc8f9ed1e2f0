"""Build the CLIP-style byte BPE tokenizer: 512 byte tokens, merges that make every caption word one token, start and end.

usage: make_tokenizer.py OUT_DIR
About 200 words for edit instructions are single tokens too; other words fall back to pieces and bytes. Padding is
"!" (id 0), as in SD 2.1. The committed vocabulary was counted on captions without the pitch words "low horizon"
and "high horizon", whose words it has as single tokens anyway; it is kept, since a new count would renumber the
merges.
"""
import argparse
import collections
import json
import os
import re

import numpy as np

from world import sample_environment
from world.captions import caption
from world.views import sample_camera

START, END, PAD = "<|startoftext|>", "<|endoftext|>", "!"
EXTRA_WORDS = """make it turn into change to the add remove replace with without set as if were was is are in of on and for from by
put an more less day time winter summer autumn spring warm cold bright dark golden red green blue white orange
purple yellow pink painting drawing sketch style watercolor oil cartoon image scene place world environment outdoor
indoor room house home bedroom kitchen cube sphere box cone pyramid cylinder object chair table car boat ship bird
river lake beach island forest tree rock stone cloud clouds star stars sun moon light fog rain storm town tower
village castle bridge road path water wave waves sand grass flowers flower field hill mountain valley cliff front
back left right up down side top bottom looking horizon ground sky empty open wide large small big tall low high
very quality detailed realistic render degrees panoramic equirectangular view photo depth map normal no not please
give replace one two three four seamless full away near far behind above below between under over through around
inside outside""".split()


def byte_letters():
    """CLIP's printable letter for every byte."""
    printable = list(range(33, 127)) + list(range(161, 173)) + list(range(174, 256))
    letters, next_free = {b: chr(b) for b in printable}, 256
    for b in range(256):
        if b not in letters:
            letters[b] = chr(next_free)
            next_free += 1
    order = printable + [b for b in range(256) if b not in printable]
    return {b: letters[b] for b in order}


def count_words(samples=6000):
    rng, counts = np.random.RandomState(5), collections.Counter()
    for _ in range(samples):
        env = sample_environment(rng)
        pitch = sample_camera(rng)[1]
        counts.update(re.findall(r"[a-z]+|[0-9]|[^\sa-z0-9]+", caption(env, rng, pitch, True).lower()))
    for word in EXTRA_WORDS:
        counts[word] += 2
    return counts


def split(word, letters):
    codes = word.encode()
    return [letters[b] for b in codes[:-1]] + [letters[codes[-1]] + "</w>"]


def merged(pieces, a, b):
    out, i = [], 0
    while i < len(pieces):
        if i + 1 < len(pieces) and pieces[i] == a and pieces[i + 1] == b:
            out.append(a + b)
            i += 2
        else:
            out.append(pieces[i])
            i += 1
    return out


def learn_merges(counts, letters):
    """Most frequent pair first until every counted word is one token."""
    words, merges = {w: split(w, letters) for w in counts}, []
    while True:
        pairs = collections.Counter()
        for word, pieces in words.items():
            for pair in zip(pieces, pieces[1:]):
                pairs[pair] += counts[word]
        if not pairs:
            return merges
        (a, b), _ = max(pairs.items(), key=lambda item: (item[1], item[0]))
        merges.append((a, b))
        words = {w: merged(p, a, b) for w, p in words.items()}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out")
    out = parser.parse_args().out
    letters = byte_letters()
    merges = learn_merges(count_words(), letters)
    single = list(letters.values())
    vocabulary = single + [v + "</w>" for v in single] + [a + b for a, b in merges] + [START, END]
    assert len(set(vocabulary)) == len(vocabulary)
    special = dict(bos_token=START, eos_token=END, unk_token=END, pad_token=PAD)
    os.makedirs(out, exist_ok=True)
    with open(out + "/vocab.json", "w") as file:
        json.dump({v: i for i, v in enumerate(vocabulary)}, file, ensure_ascii=False)
    with open(out + "/merges.txt", "w") as file:
        file.write("#version: 0.2\n" + "".join(f"{a} {b}\n" for a, b in merges))
    with open(out + "/tokenizer_config.json", "w") as file:
        json.dump(dict(tokenizer_class="CLIPTokenizer", model_max_length=77, do_lower_case=True, add_prefix_space=False,
                       errors="replace", **special), file, indent=1)
    with open(out + "/special_tokens_map.json", "w") as file:
        json.dump(special, file, indent=1)
    print(len(merges), "merges,", len(vocabulary), "tokens")


if __name__ == "__main__":
    main()
