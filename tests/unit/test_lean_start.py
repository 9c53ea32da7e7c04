import os
import subprocess
import sys

import pytest

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


PUT_OFF = """
import sys
from agent.lean_start import put_off_imports
put_off_imports()
put_off_imports()
print(sum(type(finder).__name__ == "_PutOff" for finder in sys.meta_path))
import msgspec.json, numpy, websockets.asyncio.client
heavy = ("email.message", "http.client")
print([name for name in heavy if name in sys.modules])
import importlib.metadata, urllib.request
print(importlib.metadata.version("websockets") == websockets.__version__, callable(urllib.request.getproxies))
print([name for name in heavy if name in sys.modules])
print(msgspec.json.schema(int))
"""


def test_what_others_import_in_vain_is_loaded_at_its_first_use():
    done = subprocess.run([sys.executable, "-c", PUT_OFF], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == [
        "1",
        "[]",
        "True True",
        "['email.message', 'http.client']",
        "{'type': 'integer'}",
    ]


HEAPS = """
import ctypes, os, threading
from agent.lean_start import keep_heap_small
keep_heap_small(os.environ)
libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
gate = threading.Barrier(5)
def take():
    libc.malloc(100_000)
    gate.wait()
threads = [threading.Thread(target=take) for _ in range(4)]
for thread in threads: thread.start()
gate.wait()
libc.malloc_info(0, ctypes.c_void_p.in_dll(libc, "stdout"))
libc.fflush(None)
"""


@pytest.mark.parametrize(("setting", "is_one"), [({}, True), ({"MALLOC_ARENA_MAX": "8"}, False)])
def test_threads_keep_heap_small_unless_the_user_said_otherwise(setting, is_one):
    environ = {key: value for key, value in os.environ.items() if key != "MALLOC_ARENA_MAX"} | setting
    done = subprocess.run([sys.executable, "-c", HEAPS], capture_output=True, text=True, check=True, env=environ)
    assert (done.stdout.count("<heap nr=") == 1) is is_one


FREED = """
from agent.lean_start import give_back_free_memory
from agent.procfs import ProcFile, resident_bytes
statm = ProcFile("/proc/self/statm")
kept = [bytes(2000) for _ in range(20_000)]
del kept[:-1]
before = resident_bytes(statm)
give_back_free_memory()
print(before - resident_bytes(statm))
"""


def test_memory_that_was_freed_below_what_is_in_use_goes_back_to_the_kernel():
    done = subprocess.run([sys.executable, "-c", FREED], capture_output=True, text=True, check=True)
    assert int(done.stdout) > 20 * 2**20
