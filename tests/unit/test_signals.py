from __future__ import annotations

import subprocess
import sys

from tests.support import PATIENCE

ROUNDS = 3000
_PROGRAM = f"""
import os, random, signal, threading
from dingwatch.host import when_asked_to_stop

asked = threading.Event()
when_asked_to_stop(asked.set)
go = threading.Semaphore(0)

def ask():
    for _ in range({ROUNDS}):
        go.acquire()
        for _ in range(random.randrange(300)):
            pass
        os.kill(os.getpid(), random.choice([signal.SIGTERM, signal.SIGINT]))

threading.Thread(target=ask, daemon=True).start()
for _ in range({ROUNDS}):
    go.release()
    asked.wait()
    asked.clear()
"""


def test_a_signal_may_come_at_any_instant() -> None:
    """Whatever the main thread is about to do, a wait that a signal is to end comes to its end."""
    done = subprocess.run([sys.executable, "-c", _PROGRAM], timeout=PATIENCE, check=False)
    assert done.returncode == 0
