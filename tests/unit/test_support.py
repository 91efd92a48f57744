import signal
import subprocess

from tests.support import PATIENCE, take_interrupts


def test_children_can_be_interrupted() -> None:
    """A child ends on ^C although the suite was started with SIGINT ignored, as in `(pytest &)`."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        take_interrupts()
        with subprocess.Popen(["/usr/bin/env", "sleep", str(PATIENCE)]) as child:
            child.send_signal(signal.SIGINT)
        assert child.returncode == -signal.SIGINT
    finally:
        signal.signal(signal.SIGINT, before)
