"""`python -m tests.nodes.node CONSTANTS WORD…` is dingwatch with other constants.

Its process ends with its test. CONSTANTS is a JSON object of full names and values (of a value with fields, a
list): no test is to sit out a lease of a minute.
"""

from __future__ import annotations

import ctypes
import importlib
import json
import os
import signal
import sys
from typing import Final

_SET_PDEATHSIG: Final = 1


def main() -> None:
    """Set the constants, and become the command."""
    parent = os.getppid()
    ctypes.CDLL(None).prctl(_SET_PDEATHSIG, signal.SIGKILL)
    if parent != os.getppid() or parent == 1:
        sys.exit("the test is gone")
    for name, value in json.loads(sys.argv[1]).items():
        module, _, constant = name.rpartition(".")
        there = importlib.import_module(module)
        usual = getattr(there, constant)
        setattr(there, constant, type(usual)(*value) if isinstance(value, list) else value)
    sys.argv[1:] = sys.argv[2:]
    from dingwatch.cli import main as run  # noqa: PLC0415 (after the constants)

    run()


if __name__ == "__main__":
    main()
