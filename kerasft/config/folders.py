"""The folders that a config names to be written to."""

from kerasft.config.schema import Config
from kerasft.paths import check_folder, check_no_pattern


def check_folders(config: Config) -> None:
    """Raises UserError where a folder that a run is to write to can't be; nothing is written."""
    folders = {"output.dir": config.output.dir, "training.checkpoint.dir": config.training.checkpoint.dir}
    folders["export.dir"] = config.export.dir if config.export.enabled else None
    for key, folder in folders.items():
        if folder is not None:
            check_no_pattern(folder, key)
            if key != "training.checkpoint.dir" or not _is_remote(folder):
                name = config.served_name if key == "export.dir" else config.name
                check_folder(f"{folder}/{name}", key)
    if config.data.cache is not None and not _is_remote(config.data.cache):
        check_folder(config.data.cache, "data.cache")


def _is_remote(folder: str) -> bool:
    return "://" in folder
