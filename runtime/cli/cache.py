"""Where the command line keeps tile kernels that were compiled to native code."""

import os
from pathlib import Path


def kernel_cache() -> Path | None:
    """Return the folder `meshc/kernels` of the user's cache, made if need be; None where none can be made."""
    try:
        folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "meshc" / "kernels"
        folder.mkdir(parents=True, exist_ok=True)
    except (OSError, RuntimeError):  # RuntimeError: the user has no home
        return None
    return folder
