"""Runs a program as if it spoke other versions of the protocol: python other_version.py OLDEST-NEWEST PROGRAM ARGUMENTS.

PROGRAM is a script or a module. One that speaks more than this version also sends a key, in each message, that no end knows yet.
"""

from __future__ import annotations

import runpy
import sys
from pathlib import Path
from typing import Any

import msgspec

from agent.protocol import codec, versions


class NewerPacker:
    """MessagePack of messages as a newer version might write them."""

    def __init__(self, packer: msgspec.msgpack.Encoder) -> None:
        self._packer = packer

    def encode(self, message: Any) -> bytes:
        known = msgspec.msgpack.decode(self._packer.encode(message))
        return msgspec.msgpack.encode({**known, "since_a_newer_version": [1, "x"]})


def main(spoken: str, program: str, *arguments: str) -> None:
    oldest, newest = map(int, spoken.split("-"))
    if newest > versions.SPOKEN.newest:
        vars(codec)["_PACK"] = NewerPacker(vars(codec)["_PACK"])
    vars(versions)["SPOKEN"] = versions.Versions(oldest, newest)
    sys.argv = [program, *arguments]
    if program.endswith(".py"):
        sys.path.insert(0, str(Path(program).parent))
        runpy.run_path(program, run_name="__main__")
    else:
        runpy.run_module(program, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
