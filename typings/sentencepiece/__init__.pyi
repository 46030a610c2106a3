# What kerasft uses of sentencepiece. Its own stubs are found only where this folder is not, and lack sentencepiece_model_pb2.
from io import BytesIO
from typing import Any

from sentencepiece import sentencepiece_model_pb2 as sentencepiece_model_pb2

class SentencePieceTrainer:
    @staticmethod
    def train(arg: str | None = ..., *, model_writer: BytesIO | None = ..., **settings: Any) -> None: ...
