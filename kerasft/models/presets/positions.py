"""How many positions a preset has, and defaults that fit them; without TensorFlow."""

from __future__ import annotations

from typing import Any

from kerasft.config.schema import Config
from kerasft.models.presets.huggingface_families import FAMILIES
from kerasft.models.presets.huggingface_files import HF_PREFIX, read_json
from kerasft.models.presets.presets import GGUF_ENDING, resolve_preset

# RoBERTa's table of positions begins with two that no token has.
_BEFORE_THE_FIRST = {"roberta": 2, "xlm-roberta": 2}


def fit_max_length(config: Config) -> Config:
    """The config with a `model.max_length` that its preset has positions for, where the config names none.

    Args:
        config: of a run that is planned. One that names `model.max_length` comes back as it is.

    Raises:
        UserError: see `kerasft.models.presets.presets.resolve_preset`.
    """
    if config.model.preset is None or "max_length" in config.model.model_fields_set:
        return config
    positions = positions_of(resolve_preset(config.model.preset))
    if positions is None or positions >= config.model.max_length:
        return config
    half, task = positions // 2, config.task
    fields_set = task.model_fields_set
    shorter = {key: half for key in task.half_at_most if key not in fields_set and getattr(task, key) > half}
    model = config.model.model_copy(update={"max_length": positions})
    return config.model_copy(update={"model": model, "task": task.model_copy(update=shorter)})


def positions_of(resolved: str) -> int | None:
    """Tokens that a text can have; None: as many as one likes, or it is not known before the model is fetched.

    Args:
        resolved: what `resolve_preset` returned.
    """
    if resolved.endswith(GGUF_ENDING) or ("://" in resolved and not resolved.startswith(HF_PREFIX)):
        return None
    config: dict[str, Any] = read_json(resolved, "config.json") or {}
    if "registered_name" in config:
        count = config["config"].get("max_sequence_length")
    else:
        kind = config.get("model_type")
        if kind not in FAMILIES or "rms_norm_eps" in FAMILIES[kind].defaults:  # rotary positions have no table
            return None
        count = config.get("n_positions") if kind == "gpt2" else config.get("max_position_embeddings")
        count = count - _BEFORE_THE_FIRST.get(kind, 0) if isinstance(count, int) else None
    return count if isinstance(count, int) else None
