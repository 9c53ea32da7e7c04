"""The command `rebellion hub backup`."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

__all__ = ["back_up_store"]


def back_up_store(args: argparse.Namespace) -> int:
    """Copy the hub's store to a folder that does not exist yet.

    Raises:
        StoreError: The folder exists, or the copy could not be made.
    """
    from agent.config.load_hub import load_hub_config
    from agent.hub.sqlite_backup import back_up
    from agent.hub.state_folder import STORE_NAME

    loaded = load_hub_config(args.config, os.environ)
    made = back_up(Path(loaded.state_dir) / STORE_NAME, Path(args.destination).absolute())
    sys.stdout.write(f"{args.destination}: {made.files} files, {made.size_bytes} bytes\n")
    return 0
