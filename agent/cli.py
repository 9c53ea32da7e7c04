"""The command `rebellion`: reads its words, runs one command, and says in one line each what went wrong."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from agent.lean_start import put_off_imports

__all__ = ["main"]

INTERRUPTED = 130


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; the exit code. Errors are one line each on standard error, never a traceback.

    Args:
        argv: Words after `rebellion`; None = those of the process.
    """
    put_off_imports()
    from agent.commands.arguments import build_parser
    from agent.commands.complaint import complain
    from agent.errors import RebellionError

    words = sys.argv[1:] if argv is None else list(argv)
    try:
        args = build_parser(words).parse_args(words)
        code: int = args.run(args)
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:
        return INTERRUPTED
    except (RebellionError, OSError, ExceptionGroup) as error:
        return complain(error)
    return code


if __name__ == "__main__":
    sys.exit(main())
