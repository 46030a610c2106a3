"""How likely a model takes sentences for, beside a plain loop."""

import json

import numpy as np
import pytest
from scipy.special import log_softmax
from support.tiny_models import make_tiny

from kerasft.audit import program
from kerasft.audit.likelihood import MaskedLikelihood
from kerasft.evaluation.bias.pairs import Pair
from kerasft.runs import Trained


def test_a_masked_models_likelihood_is_a_plain_loops_and_mirrors(tiny_preset):
    task, preprocessor, model = make_tiny(tiny_preset, "masked_lm")
    pair = Pair("k", "the goal of a match", "the bank of a match")
    likelihood = MaskedLikelihood(Trained(task, preprocessor, model))
    ((one, other, _),) = likelihood.scores([pair])
    tokens = likelihood._tokens(pair.stereotype)
    expected = 0.0
    for place in (1, 3, 4, 5):  # all but [CLS], [SEP] and the word that differs
        ids = np.array([tokens])
        ids[0, place] = preprocessor.vocabulary.mask_id
        features = {"token_ids": ids, "padding_mask": np.ones_like(ids), "segment_ids": np.zeros_like(ids)}
        logits = model({**features, "mask_positions": np.array([[place]])}, training=False)
        expected += log_softmax(np.asarray(logits, np.float64)[0, 0])[tokens[place]]
    assert one == pytest.approx(expected, abs=1e-5) and one != other
    ((mine, theirs, unrelated),) = likelihood.scores([Pair("k", pair.other, pair.stereotype, pair.other)])
    assert (mine, theirs) == pytest.approx((other, one)) and unrelated == pytest.approx(mine)


def test_sets_are_for_the_tasks_that_they_are_for(trained_project, capsys):
    (trained_project / "pairs.jsonl").write_text(json.dumps({"sent_more": "a", "sent_less": "b", "bias_type": "x"}))
    assert program.main(["runs/tiny", "--pairs", "pairs.jsonl"]) == 2
    assert "--pairs: for runs of masked_lm and text_generation, not of text_classification" in capsys.readouterr().err
    assert program.main(["runs/tiny", "--questions", "pairs.jsonl"]) == 2
    assert "--questions: for runs of question_answering" in capsys.readouterr().err
