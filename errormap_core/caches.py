"""Where things are kept that can be made again: measurements, copies of weights."""

import os
from pathlib import Path

import platformdirs


def cache_folder() -> Path:
    """The user's cache folder; the environment's ERRORMAP_STUDIO_CACHE names another."""
    given = os.environ.get("ERRORMAP_STUDIO_CACHE")
    return Path(given) if given else Path(platformdirs.user_cache_dir("errormap-studio"))
