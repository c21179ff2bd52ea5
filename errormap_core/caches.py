"""Where the user's things are kept that are no project: what can be made again (cache), and what cannot (data)."""

import os
from pathlib import Path

import platformdirs


def cache_folder() -> Path:
    """The user's cache folder; the environment's ERRORMAP_STUDIO_CACHE names another."""
    given = os.environ.get("ERRORMAP_STUDIO_CACHE")
    return Path(given) if given else Path(platformdirs.user_cache_dir("errormap-studio"))


def data_folder() -> Path:
    """The user's data folder, with the sample and the backups; the environment's ERRORMAP_STUDIO_DATA names another."""
    given = os.environ.get("ERRORMAP_STUDIO_DATA")
    return Path(given) if given else Path(platformdirs.user_data_dir("errormap-studio"))
