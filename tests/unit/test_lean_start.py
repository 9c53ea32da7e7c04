import subprocess
import sys

PROGRAM = """
import os, sys
from agent.lean_start import start_lean
start_lean(os.environ)
import structlog
print("rich" in sys.modules, "greenlet" in sys.modules, os.environ["OPENBLAS_NUM_THREADS"])
import rich
print(rich.__name__)
"""


def test_a_daemon_starts_without_what_draws_pictures_which_can_still_be_imported_later():
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["False False 1", "rich"]
