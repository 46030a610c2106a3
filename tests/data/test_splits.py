import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kerasft.config.schema import Config
from kerasft.data.splits import load_splits
from kerasft.data.stages.held_out import held_out_share
from kerasft.errors import UserError
from kerasft.tasks.registry import create_task

GROUPS = st.lists(st.integers(0, 6), min_size=10, max_size=300).map(np.asarray)


@given(GROUPS, st.floats(0.15, 0.6), st.integers(0, 9))
def test_share_is_a_partition_with_each_group_in_proportion(groups, share, seed):
    learn, held = held_out_share(len(groups), share, groups, seed)
    assert sorted(np.concatenate([learn, held])) == list(range(len(groups)))
    counts, kept = np.bincount(groups), np.bincount(groups[held], minlength=groups.max() + 1)
    # within one row of the exact share, and never a group that is only validated
    assert (np.abs(kept - counts * share) <= 1).all() or (counts == 1).any()
    assert (kept[counts > 0] < counts[counts > 0]).all()
    assert len(held) <= round(len(groups) * share)


def test_the_same_seed_gives_the_same_share_and_another_seed_another():
    groups = np.arange(200) % 4
    first, again, other = (held_out_share(200, 0.1, groups, seed)[1] for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert first.tolist() != other.tolist()
    assert np.bincount(groups[first]).tolist() == [5, 5, 5, 5]


def test_without_groups_the_size_is_the_share():
    learn, held = held_out_share(101, 0.2, None, 0)
    assert (len(learn), len(held)) == (81, 20)


def test_a_share_that_leaves_nothing_is_refused():
    with pytest.raises(UserError, match="data.validation"):
        held_out_share(3, 0.1, None, 0)


def test_validation_and_test_may_both_be_shares(tmp_path):
    path = tmp_path / "all.jsonl"
    path.write_text("".join(f'{{"t": "text {i}", "l": "{i % 2}"}}\n' for i in range(100)))

    def texts(**data):
        config = Config.model_validate(
            {
                "name": "n",
                "task": {"name": "text_classification"},
                "model": {"preset": "x"},
                "data": {"train": str(path), "columns": {"text": "t", "label": "l"}, **data},
            }
        )
        return {split: table.column("text") for split, table in load_splits(config, create_task(config)).items()}

    splits = texts(validation=0.1, test=0.2)
    assert {split: len(rows) for split, rows in splits.items()} == {"train": 72, "validation": 8, "test": 20}
    assert len({text for rows in splits.values() for text in rows}) == 100
    assert texts(validation=0.3, test=0.2)["test"] == splits["test"]
    assert list(splits) == ["train", "validation", "test"]
