"""Reads and checks a config file in a process of its own, while threads run.

What a check imports would keep a tenth of the service's memory for months, and a process with threads must
not be forked: the child would find locks taken by threads that it does not have. So another Python starts.
"""

from __future__ import annotations

import errno
import os
import pickle
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import dingwatch
from dingwatch.config.values import Config, ConfigError, Problem
from dingwatch.texts import Problems, environment_language, system_words

SECONDS: Final = 30.0
"""How long the check may take; where the file lies on a share that hangs, it never ends."""


class UpgradedError(Exception):
    """Another version of dingwatch is installed by now than the one that runs; holds that version."""


def load_apart(path: Path, environ: Mapping[str, str]) -> Config:
    """Return the configuration of a service.

    Raises:
        ConfigError: with every problem in it.
        UpgradedError: the values of the version that is installed are not this one's.
    """
    # -P: no module of the current directory is to take the place of ours.
    command = [sys.executable, "-P", "-m", "dingwatch.config.apart", os.fspath(path)]
    surroundings = {**environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    try:
        done = subprocess.run(  # noqa: S603 (this program)
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            env=surroundings,
            timeout=SECONDS,
            check=True,
        )
    except subprocess.TimeoutExpired as error:
        raise _unreadable(path, environ, os.strerror(errno.ETIMEDOUT)) from error
    except subprocess.CalledProcessError as error:  # its traceback is in the log
        raise _unreadable(path, environ, f"exit code {error.returncode}") from error
    except OSError as error:
        raise _unreadable(path, environ, os.strerror(error.errno or errno.ENOMEM)) from error
    version, _, written = done.stdout.partition(b"\n")
    if version.decode() != dingwatch.__version__:
        raise UpgradedError(version.decode())
    found = pickle.loads(written)  # noqa: S301 (written by this program a moment ago)
    if isinstance(found, Config):
        return found
    raise ConfigError(*found)


def _unreadable(path: Path, environ: Mapping[str, str], reason: str) -> ConfigError:
    language = environment_language(environ)
    reason = system_words(reason, language)
    return ConfigError((Problem("", None, Problems.UNREADABLE.render(language, path=path, reason=reason)),))


def _write(path: Path) -> None:
    """Write the configuration to standard output, or its problems; the version first."""
    from dingwatch.config.assembly import load  # noqa: PLC0415 (the service imports this module)

    try:
        found: object = load(path, environ=os.environ)
    except ConfigError as error:
        found = error.problems, error.language
    sys.stdout.buffer.write(f"{dingwatch.__version__}\n".encode() + pickle.dumps(found))


if __name__ == "__main__":
    _write(Path(sys.argv[1]))
