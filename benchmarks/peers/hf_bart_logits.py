"""Logits of a BART by transformers (tests/models/heads/test_seq2seq_lm.py). Give it an environment of its own (torch,
transformers):

    python tests/support/tiny_bart.py FOLDER && OTHER/bin/python benchmarks/peers/hf_bart_logits.py FOLDER
"""

import sys

import torch
from transformers import BartForConditionalGeneration

INPUT, OUTPUT = [0, 20, 130, 7, 2, 1, 1], [2, 0, 44, 9]


def main() -> None:
    model = BartForConditionalGeneration.from_pretrained(sys.argv[1]).eval()
    mask = torch.tensor([[int(token != 1) for token in INPUT]])
    with torch.no_grad():
        found = model(torch.tensor([INPUT]), attention_mask=mask, decoder_input_ids=torch.tensor([OUTPUT])).logits[0]
    for row in found:
        print([round(float(value), 4) for value in row[40:46]])


if __name__ == "__main__":
    main()
