import pytest

from kerasft.accelerators.chips import CHIPS, parse_accelerator
from kerasft.errors import UserError


@pytest.mark.parametrize(
    ("text", "name", "chips"),
    [
        ("v5e-8", "v5e", 8),
        ("v5litepod-16", "v5e", 16),
        ("v6e-1", "v6e", 1),
        ("v4-8", "v4", 4),  # TensorCores, two a chip
        ("v5p-32", "v5p", 16),
    ],
)
def test_a_type_names_its_chip_and_how_many(text, name, chips):
    accelerator = parse_accelerator(text)
    assert (accelerator.chip.name, accelerator.chips) == (name, chips)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("h100", "'h100' is not a type such as v5e-8"),
        ("v5e", "'v5e' is not a type"),
        ("v5f-8", "no chip v5f is known here; did you mean v5"),
        ("v5e-3", "no size that is rented; there are v5e-1, v5e-4, v5e-8"),
        ("v4-4", "there are v4-8, v4-16"),
        ("v6e-512", "no size that is rented"),
    ],
)
def test_a_mistake_names_what_there_is(text, message):
    with pytest.raises(UserError, match=message):
        parse_accelerator(text)


def test_every_chip_has_a_source_and_figures_of_a_chip():
    assert list(CHIPS) == ["v4", "v5e", "v5p", "v6e"]
    for chip in CHIPS.values():
        assert chip.source == f"https://cloud.google.com/tpu/docs/{chip.name}"
        assert 1e14 < chip.flops < 1e15
        assert 8e11 < chip.hbm_bandwidth < 3e12
        assert 16 <= chip.hbm_bytes / 2**30 <= 95
