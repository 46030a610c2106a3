"""Files of a preset by name, in a local folder or on a hub."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

HF_PREFIX = "hf://"


def read_json(resolved: str, name: str) -> dict[str, Any] | None:
    """A JSON file of a folder or of a model on the Hugging Face hub; None where there is none.

    Raises:
        OSError, ValueError: it can't be fetched, or is no JSON object.
    """
    path = preset_file(resolved, name)
    if path is None:
        return None
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path} is not JSON ({' '.join(str(error).split())[:120]})") from None
    if not isinstance(value, dict):
        raise ValueError(f"{path} is not a JSON object")
    return value


def preset_file(resolved: str, name: str) -> Path | None:
    """Where a file of a folder or of a model on the Hugging Face hub is; None: there is none.

    Raises:
        OSError: it can't be fetched.
    """
    if resolved.startswith(HF_PREFIX):
        from huggingface_hub import hf_hub_download
        from huggingface_hub.errors import EntryNotFoundError, LocalEntryNotFoundError

        try:
            path = Path(hf_hub_download(resolved.removeprefix(HF_PREFIX), name))
        except LocalEntryNotFoundError:  # no network: whether the file exists is not known
            raise
        except EntryNotFoundError:
            return None
    else:
        path = Path(resolved) / name
    return path if path.is_file() else None
