"""Finds the file, reads it, and hands over its values or its problems."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from dingwatch.config.assembly import Surroundings, assembled, expanded, locale
from dingwatch.config.document import LARGEST, parse
from dingwatch.config.findings import Finding, Unusable, problems
from dingwatch.config.values import Config, ConfigError
from dingwatch.texts import Language, Problems, choose_language


def find(explicit: Path | None, environ: Mapping[str, str]) -> Path:
    """Return which file to load; raise `ConfigError` with advice when there is none."""
    if explicit is not None:
        return explicit
    if environ.get("DINGWATCH_CONFIG"):
        return Path(environ["DINGWATCH_CONFIG"])
    places = [Path(expanded("~/.config/dingwatch/config.yaml", environ)), Path("/etc/dingwatch/config.yaml")]
    found = next((place for place in places if place.is_file()), None)
    if found is not None:
        return found
    finding = Finding((), Problems.NO_CONFIG, {"places": ", ".join(map(str, places))})
    raise ConfigError(problems([finding], {}, choose_language("auto", locale(environ)), ()))


def load(
    path: Path,
    *,
    environ: Mapping[str, str],
    language: Language | None = None,
    secret_needed: bool = True,
) -> Config:
    """Return the configuration, or raise `ConfigError` with every problem in it.

    Args:
        path: the file.
        environ: the environment: home, locale, state directory and secret may come from it.
        language: of the problems and of the configuration, whatever it says itself.
        secret_needed: False for commands that only read the ledger and may run where the secret is not
            (a systemd credential is only there for the service): `client_secret` is empty then.
    """
    try:
        raw, mode = _read(path)
        document = parse(raw)
    except Unusable as error:
        found = problems([error.finding], {}, language or choose_language("auto", locale(environ)), ())
    else:
        surroundings = Surroundings(path, mode, environ, language, secret_needed)
        return assembled(document, surroundings)
    raise ConfigError(found)  # out here, so that nothing hangs on it as its context


def _read(path: Path) -> tuple[bytes, int]:
    """Return the file's beginning (one byte more than it may have) and its mode."""
    try:
        with path.open("rb") as file:
            return file.read(LARGEST + 1), os.fstat(file.fileno()).st_mode
    except OSError as error:
        finding = Finding((), Problems.UNREADABLE, {"path": path, "reason": error.strerror})
    raise Unusable(finding)
