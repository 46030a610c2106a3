import pytest
from support.shared_encoders import EACH_ITS_OWN

from kerasft.models.tokenizers import encoder


@pytest.fixture(autouse=True)
def encoders_of_their_own(monkeypatch):
    """What is tested here are the encoders themselves."""
    monkeypatch.setattr(encoder, "_ENCODERS", EACH_ITS_OWN)
