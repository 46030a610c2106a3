"""Tiny random backbones of each family, and tokenizers trained on the spot; no network."""

import io
import json
from collections.abc import Callable

import keras
import keras_hub
import sentencepiece
from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

SENTENCES = [
    "The quick brown fox jumps over the lazy dog, doesn't it? 12345 times!",
    "Ein schöner Straßenname: Größenwahn; naïve café, coöperation.",
    "我们在北京大学学习中文，你好吗？ 天气很好。",
    "def f(x):\n    return x ** 2  # comment\t\ttab",
    "I'll say we've 10,000.50 $ and they're o'clock 'til it's done.",
    "Ελληνικά ΟΔΟΣ, русский язык, العربية, हिन्दी, 日本語テキスト, 한국어.",
    "emoji 😀👍🏽 and 👨‍👩‍👧 zero\u200bwidth",
]
SMOLLM_SPECIAL = ["<|im_start|>", "<|im_end|>"]
_SIZES = {"num_layers": 3, "num_heads": 2, "hidden_dim": 8, "intermediate_dim": 16, "max_sequence_length": 32}


def _llama(vocabulary: int) -> keras.Model:
    return keras_hub.models.Llama3Backbone(
        vocabulary_size=vocabulary,
        num_layers=3,
        num_query_heads=2,
        num_key_value_heads=1,
        hidden_dim=8,
        intermediate_dim=16,
    )


BACKBONES: dict[str, Callable[[int], keras.Model]] = {
    "bert": lambda v: keras_hub.models.BertBackbone(vocabulary_size=v, **_SIZES),
    "distil_bert": lambda v: keras_hub.models.DistilBertBackbone(vocabulary_size=v, **_SIZES),
    "electra": lambda v: keras_hub.models.ElectraBackbone(vocab_size=v, embedding_dim=6, **_SIZES),
    "roberta": lambda v: keras_hub.models.RobertaBackbone(vocabulary_size=v, **_SIZES),
    "gpt2": lambda v: keras_hub.models.GPT2Backbone(vocabulary_size=v, **_SIZES),
    "llama3": _llama,
    "albert": lambda v: keras_hub.models.AlbertBackbone(vocabulary_size=v, embedding_dim=6, num_groups=1, **_SIZES),
    "deberta_v3": lambda v: keras_hub.models.DebertaV3Backbone(vocabulary_size=v, bucket_size=8, **_SIZES),
    "xlm_roberta": lambda v: keras_hub.models.XLMRobertaBackbone(vocabulary_size=v, **_SIZES),
}


def train_wordpiece(lowercase: bool = True, strip_accents: bool | None = None) -> Tokenizer:
    """A `tokenizers` BERT tokenizer on SENTENCES."""
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=lowercase, strip_accents=strip_accents)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    tokenizer.train_from_iterator(
        SENTENCES * 3, trainers.WordPieceTrainer(vocab_size=400, special_tokens=special, show_progress=False)
    )
    tokenizer.decoder = decoders.WordPiece()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[(token, tokenizer.token_to_id(token)) for token in ("[CLS]", "[SEP]")],
    )
    return tokenizer


def train_byte_pair(prefix_space: bool = False, gpt2: bool = False, digits: bool = False) -> Tokenizer:
    """A `tokenizers` RoBERTa (or GPT-2, or SmolLM with `digits`) tokenizer on SENTENCES."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=prefix_space)
    if digits:
        parts = [pre_tokenizers.Digits(individual_digits=True), tokenizer.pre_tokenizer]
        tokenizer.pre_tokenizer = pre_tokenizers.Sequence(parts)
    special = ["<|endoftext|>"] if gpt2 else ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    special += SMOLLM_SPECIAL if digits else []
    tokenizer.train_from_iterator(
        SENTENCES * 3,
        trainers.BpeTrainer(
            vocab_size=600,
            special_tokens=special,
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        ),
    )
    if not gpt2:
        tokenizer.add_special_tokens([AddedToken("<mask>", lstrip=True, special=True)])
        tokenizer.post_processor = processors.RobertaProcessing(
            ("</s>", tokenizer.token_to_id("</s>")),
            ("<s>", tokenizer.token_to_id("<s>")),
            trim_offsets=False,
            add_prefix_space=prefix_space,
        )
    return tokenizer


def train_sentence_piece(family: str) -> bytes:
    """A SentencePiece model on SENTENCES, with the special pieces of the family."""
    xlm = family == "xlm_roberta"
    pad = "[PAD]" if family == "deberta_v3" else "<pad>"
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(SENTENCES * 5),
        model_writer=model,
        vocab_size=220,
        hard_vocab_limit=False,
        model_type="unigram",
        minloglevel=2,
        **(
            {"unk_id": 0, "bos_id": 1, "eos_id": 2}
            if xlm
            else {"pad_id": 0, "unk_id": 1, "bos_id": 2, "eos_id": 3, "pad_piece": pad, "unk_piece": "<unk>"}
            | {"bos_piece": "[CLS]", "eos_piece": "[SEP]", "user_defined_symbols": "[MASK]"}
        ),
    )
    return model.getvalue()


def byte_pair_arguments(tokenizer: Tokenizer) -> dict:
    """A trained `tokenizers` BPE -> the vocabulary and merges that KerasHub takes."""
    merges = json.loads(tokenizer.to_str())["model"]["merges"]
    merges = [merge if isinstance(merge, str) else " ".join(merge) for merge in merges]
    return {"vocabulary": tokenizer.get_vocab(), "merges": merges}


def wordpiece_vocabulary(tokenizer: Tokenizer) -> list[str]:
    vocabulary = tokenizer.get_vocab()
    return sorted(vocabulary, key=vocabulary.__getitem__)


def make_tokenizer(family: str) -> keras_hub.tokenizers.Tokenizer:
    """KerasHub's tokenizer of a family, trained on SENTENCES."""
    wordpiece = {
        "bert": keras_hub.models.BertTokenizer,
        "distil_bert": keras_hub.models.DistilBertTokenizer,
        "electra": keras_hub.tokenizers.ElectraTokenizer,
    }
    if family in wordpiece:
        vocabulary = wordpiece_vocabulary(train_wordpiece())
        return wordpiece[family](vocabulary=vocabulary, lowercase=True, strip_accents=True)
    if family == "roberta":
        return keras_hub.models.RobertaTokenizer(**byte_pair_arguments(train_byte_pair()))
    if family == "gpt2":
        return keras_hub.models.GPT2Tokenizer(**byte_pair_arguments(train_byte_pair(gpt2=True)))
    if family == "llama3":
        arguments = byte_pair_arguments(train_byte_pair())
        special = ["<|begin_of_text|>", "<|end_of_text|>", "<|eot_id|>", "<|start_header_id|>", "<|end_header_id|>"]
        arguments["vocabulary"] |= {token: len(arguments["vocabulary"]) + i for i, token in enumerate(special)}
        return keras_hub.models.Llama3Tokenizer(**arguments)
    classes = {
        "albert": keras_hub.models.AlbertTokenizer,
        "deberta_v3": keras_hub.models.DebertaV3Tokenizer,
        "xlm_roberta": keras_hub.models.XLMRobertaTokenizer,
    }
    return classes[family](proto=train_sentence_piece(family))
