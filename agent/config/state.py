"""Where a program keeps what must outlive it."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path

from agent.config.check import Checker
from agent.config.tree import user_folder

__all__ = ["state_folder"]


def state_folder(configured: str, environ: Mapping[str, str], checker: Checker, section: str = "agent") -> Path:
    """The configured folder, else `$STATE_DIRECTORY`, else `$XDG_STATE_HOME/rebellion`.

    That it can be written is tried out, and nothing is left behind; a problem is reported to the checker.
    """
    folder = Path(configured) if configured else _usual_folder(environ)
    try:
        _try_to_write(folder)
    except OSError as error:
        reason = error.strerror or str(error)
        checker.report(
            (section, "state_dir"), f"cannot write to {str(folder)!r}: {reason}", "name a folder that can be written"
        )
    return folder


def _usual_folder(environ: Mapping[str, str]) -> Path:
    given = environ.get("STATE_DIRECTORY", "").split(":")[0]
    return Path(given) if given else user_folder(environ, "XDG_STATE_HOME", ".local/state") / "rebellion"


def _try_to_write(folder: Path) -> None:
    made: list[Path] = []
    try:
        for place in (*reversed(folder.parents), folder):
            if not place.exists():
                place.mkdir(mode=0o700)
                made.append(place)
        with tempfile.TemporaryFile(dir=folder):
            pass
    finally:
        for place in reversed(made):
            place.rmdir()
