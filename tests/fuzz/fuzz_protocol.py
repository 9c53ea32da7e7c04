"""Coverage-guided fuzzing of `agent.protocol`: python tests/fuzz/fuzz_protocol.py CORPUS_DIR [-max_total_time=SECONDS].

`make fuzz` installs what it needs and runs it. Inputs that reach new code are kept in the corpus folder; one that breaks
something is written to the working folder as crash-SHA1, and given as the only argument it is run alone.
"""

from __future__ import annotations

import sys
from pathlib import Path

import atheris

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))

with atheris.instrument_imports(include=["agent.protocol"]):
    import agent.protocol.agent_session
    import agent.protocol.codec
    import agent.protocol.hub_session  # noqa: F401

from golden_messages import FOLDER
from protocol_fuzz import feed, frames_to_input


def sow(corpus: Path) -> None:
    """Put what the golden files hold into the corpus, for each end and state."""
    corpus.mkdir(parents=True, exist_ok=True)
    for number, suffix in enumerate(("msgpack", "json")):
        frames = [path.read_bytes() for path in sorted(FOLDER.glob(f"*.{suffix}"))]
        for choice in range(number, 12, 2):
            (corpus / f"golden-{choice}").write_bytes(frames_to_input(choice, frames))


if __name__ == "__main__":
    places = [Path(word) for word in sys.argv[1:] if not word.startswith("-")]
    if places and not places[0].is_file():
        sow(places[0])
    atheris.Setup(sys.argv, feed)
    atheris.Fuzz()
