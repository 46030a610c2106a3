"""The peer of Keras' own side: `fit` of KerasHub's text classifier, in steps that are ordered (see pacing.py).

As it comes: float32, its preprocessor's length (512 for BERT), Adam, jit_compile as Keras chooses. With --max-length
and --bf16: that length, mixed_bfloat16, and without XLA, which has no oneDNN and is slower on a CPU.
"""

import argparse
import json
import os

os.environ["KERAS_BACKEND"] = "tensorflow"

import keras
import keras_hub
import numpy as np
import pacing

TEXTS_A_CALL = 512


class Paced(keras.callbacks.Callback):
    """Args: tokens, of a row in the mean: all rows are padded to one length, so each step costs the same."""

    def __init__(self, rows, batch_size, tokens):
        super().__init__()
        self.pace, self.rows, self.batch_size, self.tokens = pacing.Pace(), rows, batch_size, tokens

    def on_train_begin(self, logs=None):
        self.pace.begin()

    def on_train_batch_end(self, batch, logs=None):
        examples = min(self.batch_size, self.rows - batch * self.batch_size)
        self.pace.after_step(examples, examples * self.tokens)


def mean_tokens(preprocessor, texts):
    parts = (texts[start : start + TEXTS_A_CALL] for start in range(0, len(texts), TEXTS_A_CALL))
    return sum(float(np.sum(preprocessor(part)["padding_mask"])) for part in parts) / len(texts)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True, help="a folder in Hugging Face's layout")
    parser.add_argument("--train", required=True, help="JSON Lines")
    parser.add_argument("--text", default="text", help="column")
    parser.add_argument("--label", default="label", help="column")
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--max-length", type=int, help="tokens; as KerasHub has it unless given")
    parser.add_argument("--bf16", action="store_true")
    args = parser.parse_args()
    with open(args.train, encoding="utf-8") as file:
        rows = [json.loads(line) for line in file]
    texts, names = [row[args.text] for row in rows], sorted({row[args.label] for row in rows})
    labels = np.array([names.index(row[args.label]) for row in rows])
    options = {"dtype": "mixed_bfloat16"} if args.bf16 else {}
    model = keras_hub.models.TextClassifier.from_preset(args.model, num_classes=len(names), **options)
    if args.max_length:
        model.preprocessor.sequence_length = args.max_length
    if args.bf16:
        model.compile(
            optimizer=keras.optimizers.Adam(5e-5),
            loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
            metrics=[keras.metrics.SparseCategoricalAccuracy()],
            jit_compile=False,
        )
    paced = Paced(len(rows), args.batch_size, mean_tokens(model.preprocessor, texts))
    model.fit(texts, labels, batch_size=args.batch_size, epochs=10**6, callbacks=[paced], verbose=0)


if __name__ == "__main__":
    main()
