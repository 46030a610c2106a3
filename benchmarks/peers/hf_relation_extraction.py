"""The peer in relation extraction: entity markers as added tokens, the Hugging Face Trainer.

The head is the sequence classifier's, on the first token; with --head entities it reads the vectors at <e1> and <e2>
(entity starts, Baldini Soares et al. 2019, arXiv:1906.03158). Labels are RELATION(e1,e2), RELATION(e2,e1) and Other.
Runs in an environment of its own (torch, transformers, accelerate, scikit-learn) and prints one JSON line last.

    python hf_relation_extraction.py --model DIR --train train.jsonl --test test.jsonl --epochs 5 --learning-rate 1e-4
"""

import json

import hf_training
import numpy as np
import torch
from transformers import (
    AutoModelForSequenceClassification,
    AutoTokenizer,
    BertModel,
    BertPreTrainedModel,
    DataCollatorWithPadding,
)
from transformers.modeling_outputs import SequenceClassifierOutput

MARKERS = ("<e1>", "</e1>", "<e2>", "</e2>")


class EntityStarts(BertPreTrainedModel):
    def __init__(self, config):
        super().__init__(config)
        self.bert = BertModel(config, add_pooling_layer=False)
        self.dropout = torch.nn.Dropout(config.hidden_dropout_prob)
        self.classifier = torch.nn.Linear(2 * config.hidden_size, config.num_labels)
        self.post_init()

    def forward(self, input_ids, attention_mask=None, token_type_ids=None, labels=None):
        vectors = self.bert(input_ids, attention_mask, token_type_ids).last_hidden_state
        # A marker that was cut off leaves position 0, the first token.
        starts = [(input_ids == marker).int().argmax(-1) for marker in self.config.start_ids]
        row = torch.arange(len(input_ids))
        pair = torch.cat([vectors[row, start] for start in starts], -1)  # (batch, seq, hidden) -> (batch, 2 * hidden)
        logits = self.classifier(self.dropout(pair))
        loss = None if labels is None else torch.nn.functional.cross_entropy(logits.float(), labels)
        return SequenceClassifierOutput(loss=loss, logits=logits)


def arguments():
    parser = hf_training.arguments(__doc__)
    parser.add_argument("--head", choices=("first", "entities"), default="first")
    parser.add_argument("--init", choices=("mean", "normal"), default="normal", help="of the markers' vectors")
    return parser.parse_args()


def encode(args, tokenizer, path, names):
    rows = hf_training.read(path)
    encoded = tokenizer([row["text"] for row in rows], truncation=True, max_length=args.max_length)
    return [
        {**{key: encoded[key][i] for key in encoded}, "labels": names.index(row["label"])} for i, row in enumerate(rows)
    ]


def official_f1(truth, found):
    """Macro F1 of SemEval-2010 Task 8, "(9+1)-way, taking directionality into account".

    An answer is right where relation and direction are; precision and recall of a relation are over both directions.
    """
    figures = []
    for relation in sorted({label.split("(")[0] for label in truth} - {"Other"}):
        true, answered = ([label.split("(")[0] == relation for label in labels] for labels in (truth, found))
        right = sum(a == b for a, b, counts in zip(truth, found, true) if counts)
        figures.append(2 * right / (sum(true) + sum(answered)))
    return float(np.mean(figures))


def scores(model, rows, collator, names):
    found = np.stack(hf_training.predict(model, rows, collator))[:, 0].argmax(-1)
    truth = np.array([row["labels"] for row in rows])
    return {
        "f1": official_f1([names[i] for i in truth], [names[i] for i in found]),
        "accuracy": float((truth == found).mean()),
    }


def load(args, tokenizer, labels):
    kind = AutoModelForSequenceClassification if args.head == "first" else EntityStarts
    model = kind.from_pretrained(args.model, num_labels=labels, dtype=torch.float32)
    model.config.start_ids = tokenizer.convert_tokens_to_ids(["<e1>", "<e2>"])
    # The default of transformers puts all four next to the vocabulary's mean, where they are alike at first.
    model.resize_token_embeddings(len(tokenizer), mean_resizing=args.init == "mean")
    return model


def main():
    args = arguments()
    hf_training.start(args)
    tokenizer = AutoTokenizer.from_pretrained(args.model)
    tokenizer.add_tokens(list(MARKERS), special_tokens=True)
    names = sorted({row["label"] for row in hf_training.read(args.train)})
    train, test = (encode(args, tokenizer, path, names) for path in (args.train, args.test))
    validation = encode(args, tokenizer, args.validation, names) if args.validation else None
    collator = DataCollatorWithPadding(tokenizer)

    def score(candidate):
        return scores(candidate, validation, collator, names)["f1"]

    model = load(args, tokenizer, len(names))
    chosen, speed = hf_training.train(args, model, train, collator, score if validation else None)
    print(json.dumps(scores(chosen, test, collator, names) | speed))


if __name__ == "__main__":
    main()
