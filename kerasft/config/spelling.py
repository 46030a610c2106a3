"""Slips, and other tools' words, for keys and values of a config -> what they are called here."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Any

from kerasft.config.schema import Config
from kerasft.config.sections import literals, sections

# Words of transformers' Trainer, KerasHub, spaCy and others, squashed (see `_squashed`).
KEYS = {
    "batch": "training.batch_size",
    "bf16": "training.precision",
    "bs": "training.batch_size",
    "checkpointdir": "training.checkpoint.dir",
    "dataset": "data.train",
    "device": "training.strategy",
    "dtype": "training.precision",
    "earlystoppingpatience": "training.early_stopping.patience",
    "evalbatchsize": "training.evaluation_batch_size",
    "evalsteps": "training.evaluate_every",
    "exportdir": "export.dir",
    "fp16": "training.precision",
    "gpus": "training.devices",
    "gradientaccumulationsteps": "training.gradient_accumulation",
    "gradientclipping": "training.optimizer.clip_norm",
    "learningrate": "training.optimizer.learning_rate",
    "logdir": "output.dir",
    "lr": "training.optimizer.learning_rate",
    "lrscheduler": "training.optimizer.schedule",
    "lrschedulertype": "training.optimizer.schedule",
    "maxepochs": "training.epochs",
    "maxgradnorm": "training.optimizer.clip_norm",
    "maxlen": "model.max_length",
    "maxseqlen": "model.max_length",
    "maxseqlength": "model.max_length",
    "maxsteps": "training.steps",
    "mixedprecision": "training.precision",
    "model": "model.preset",
    "modelname": "model.preset",
    "modelnameorpath": "model.preset",
    "nepochs": "training.epochs",
    "numepochs": "training.epochs",
    "numgpus": "training.devices",
    "numtrainepochs": "training.epochs",
    "optim": "training.optimizer.name",
    "optimizer": "training.optimizer.name",
    "output": "output.dir",
    "outputdir": "output.dir",
    "perdevicetrainbatchsize": "training.batch_size",
    "pretrained": "model.preset",
    "sequencelength": "model.max_length",
    "savesteps": "training.checkpoint.every_steps",
    "scheduler": "training.optimizer.schedule",
    "task": "task.name",
    "testfile": "data.test",
    "traindata": "data.train",
    "trainfile": "data.train",
    "valdata": "data.validation",
    "valid": "data.validation",
    "validationfile": "data.validation",
    "warmupratio": "training.optimizer.warmup",
    "warmupsteps": "training.optimizer.warmup",
    "wd": "training.optimizer.weight_decay",
}
VALUES = {
    "bart": "seq2seq",
    "bf16": "mixed_bfloat16",
    "bfloat16": "mixed_bfloat16",
    "binary": "single_label",
    "causallanguagemodeling": "text_generation",
    "causallm": "text_generation",
    "chat": "text_generation",
    "classification": "text_classification",
    "clm": "text_generation",
    "cpu": "one_device",
    "ddp": "mirrored",
    "distributed": "multi_worker",
    "embedding": "text_embedding",
    "embeddings": "text_embedding",
    "extractiveqa": "question_answering",
    "featureextraction": "text_embedding",
    "fillmask": "masked_lm",
    "float16": "mixed_bfloat16",
    "fp16": "mixed_bfloat16",
    "fp32": "float32",
    "generation": "text_generation",
    "gpu": "one_device",
    "instructiontuning": "text_generation",
    "intent": "text_classification",
    "json": "jsonl",
    "languagemodeling": "text_generation",
    "lm": "text_generation",
    "maskedlanguagemodeling": "masked_lm",
    "mixedfloat16": "mixed_bfloat16",
    "mlm": "masked_lm",
    "multiclass": "single_label",
    "multigpu": "mirrored",
    "namedentityrecognition": "token_classification",
    "ner": "token_classification",
    "paraphrase": "text_classification",
    "parquetfile": "parquet",
    "pos": "token_classification",
    "postagging": "token_classification",
    "qa": "question_answering",
    "re": "relation_extraction",
    "regressor": "regression",
    "relation": "relation_extraction",
    "relationclassification": "relation_extraction",
    "relations": "relation_extraction",
    "retrieval": "text_embedding",
    "sentenceembedding": "text_embedding",
    "sentencesimilarity": "text_embedding",
    "sentiment": "text_classification",
    "sentimentanalysis": "text_classification",
    "sequenceclassification": "text_classification",
    "sft": "text_generation",
    "sgdmomentum": "sgd",
    "spancategorization": "token_classification",
    "squad": "question_answering",
    "summarisation": "seq2seq",
    "summarization": "seq2seq",
    "t5": "seq2seq",
    "tagger": "token_classification",
    "tagging": "token_classification",
    "text2textgeneration": "seq2seq",
    "textpairclassification": "text_classification",
    "textregression": "text_classification",
    "translation": "seq2seq",
}


def nearest_value(value: Any, allowed: Iterable[str]) -> str | None:
    """The allowed value that was meant; None: nobody knows."""
    names = {_squashed(name): name for name in allowed}
    word = _squashed(str(value))
    if word in names:
        return names[word]
    if VALUES.get(word) in names.values():
        return VALUES[word]
    near = difflib.get_close_matches(word, names, 1)
    return names[near[0]] if near else None


def nearest_key(word: str) -> str | None:
    """The dotted key that was meant by a word; None: nobody knows."""
    paths = [f"{at}.{key}".lstrip(".") for at, section in sections(Config) for key in section.model_fields]
    if word.replace("-", "_") in paths and "." in word:
        return word.replace("-", "_")
    squashed = _squashed(word.rsplit(".", 1)[-1])
    if squashed in KEYS:
        return KEYS[squashed]
    by_name: dict[str, str] = {}
    for path in sorted(paths, key=lambda path: path.count(".")):
        by_name.setdefault(_squashed(path.rsplit(".", 1)[-1]), path)
    near = difflib.get_close_matches(squashed, by_name, 1, cutoff=0.8)
    return by_name[near[0]] if near else None


def suggest_key(option: str, value: str | None) -> str | None:
    """An option that no program has, `--epochs` -> that it is a key of the config; None: it is not like one."""
    key = nearest_key(option.lstrip("-"))
    if key is None:
        return None
    allowed = literals(key)
    if value is not None and allowed:
        value = nearest_value(value, allowed) or value
    return f"keys of the config are written without dashes: {key}={'VALUE' if value is None else value}"


def _squashed(word: str) -> str:
    return word.casefold().replace("-", "").replace("_", "").replace(" ", "")
