"""The TPU's own compiler on small programs: needs jax and libtpu (pip install 'kerasft[preflight]'), no TPU."""

import importlib.util

import keras_hub
import pytest

from kerasft.accelerators.bounds import Compiled, Refused
from kerasft.accelerators.chips import CHIPS
from kerasft.accelerators.compiler import compile_program
from kerasft.accelerators.lowering import Programs
from kerasft.config.load import load_config
from kerasft.data.splits import load_splits
from kerasft.models.presets.presets import save_preset
from kerasft.tasks.registry import create_task

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        any(importlib.util.find_spec(name) is None for name in ("jax", "libtpu")),
        reason="no jax and libtpu; pip install 'kerasft[preflight]'",
    ),
]
LAYERS, WIDTH, INNER = 1, 256, 1024


@pytest.fixture(scope="module")
def compiled(tmp_path_factory):
    """Returns a function: (chip, batch, length) -> the programs of a small BERT and what the compiler says of one."""
    folder = tmp_path_factory.mktemp("aot")
    letters = [mark + letter for letter in "abcdefghijklmnopqrstuvwxyz" for mark in ("", "##")]
    tokenizer = keras_hub.models.BertTokenizer(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *letters])
    backbone = keras_hub.models.BertBackbone(tokenizer.vocabulary_size(), LAYERS, 4, WIDTH, INNER)
    save_preset(backbone, tokenizer, str(folder / "preset"))
    (folder / "rows.csv").write_text("text,label\n" + "ab,x\ncd,y\n" * 50)
    (folder / "config.yaml").write_text(
        f"name: small\ntask: {{name: text_classification}}\nmodel: {{preset: {folder}/preset}}\n"
        f"data: {{train: {folder}/rows.csv, columns: {{text: text, label: label}}}}\n"
        "training: {precision: mixed_bfloat16}\n"
    )

    def make(chip: str, batch: int, length: int, training: bool = True):
        config = load_config(folder / "config.yaml", [f"model.max_length={length}", f"training.batch_size={batch}"])
        task = create_task(config)
        programs = Programs(config, task, load_splits(config, task), config.model.preset, chips=1)
        hlo = programs.training(batch) if training else programs.evaluation()
        return programs, compile_program(hlo, CHIPS[chip], folder / "cache")

    make.cache = folder / "cache"
    return make


def forward_flops(batch: int, length: int) -> float:
    """Matrix products of the encoder: 2 a weight and token, and 4 a pair of tokens and width for attention."""
    weights = 4 * WIDTH**2 + 2 * WIDTH * INNER
    return LAYERS * batch * length * (2 * weights + 4 * length * WIDTH)


def test_figures_agree_with_what_can_be_counted(compiled):
    programs, found = compiled("v5e", 256, 64)
    assert isinstance(found, Compiled)
    # Arrays are padded to the tiles of the memory, so that small ones take more.
    assert programs.state_bytes <= found.argument_bytes <= 1.2 * programs.state_bytes
    assert found.alias_bytes == pytest.approx(found.output_bytes, rel=0.01)  # the state is updated in place
    assert found.flops == pytest.approx(3 * forward_flops(256, 64), rel=0.1)
    assert len(list(compiled.cache.iterdir())) == 1
    assert compiled("v5e", 256, 64)[1] == found  # remembered, the seconds too
    longer, larger = compiled("v5e", 256, 128)[1], compiled("v5e", 512, 64)[1]
    for more in (longer, larger):
        assert more.flops > found.flops and more.temporary_bytes > found.temporary_bytes


def test_an_absurd_batch_does_not_fit(compiled):
    refused = compiled("v5e", 65536, 128)[1]
    assert isinstance(refused, Refused) and refused.memory
    assert "HBM" in refused.reason


@pytest.mark.parametrize("chip", CHIPS)
def test_every_chip_can_be_compiled_for(compiled, chip):
    assert isinstance(compiled(chip, 8, 16, training=False)[1], Compiled)
