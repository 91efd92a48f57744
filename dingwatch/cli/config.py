"""`dingwatch config`: the values in force and where they come from, and the schema for editors."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import click

from dingwatch.cli.context import Session, command, option
from dingwatch.cli.output import print_line, printable
from dingwatch.config.effective import Origin, Setting, list_settings
from dingwatch.config.json_schema import make_schema
from dingwatch.texts import Cli, Keys, Language

_ORIGINS = {
    Origin.DEFAULT: Cli.FROM_DEFAULT,
    Origin.FILE: Cli.FROM_FILE,
    Origin.DEFAULTS: Cli.FROM_DEFAULTS,
    Origin.MERGED: Cli.FROM_MERGED,
    Origin.ENVIRONMENT: Cli.FROM_ENVIRONMENT,
    Origin.TABLE: Cli.FROM_TABLE,
    Origin.DIRECTORY: Cli.FROM_DIRECTORY,
}


@command()
@click.argument("what", type=click.Choice(["show", "schema"]), metavar="show|schema")
@option(Cli.OPT_JSON, "--json", "as_json", is_flag=True)
def config(session: Session, *, what: str, as_json: bool) -> int:
    """Print the values in force, or the JSON Schema of the config file."""
    if what == "schema":
        print_line(schema_text(session.language).rstrip("\n"))
        return 0
    if as_json:
        path, settings = _list(session)
        told = {"file": str(path), "settings": list(map(asdict, settings))}
        print_line(json.dumps(told, ensure_ascii=False))
        return 0
    for line in describe_settings(session):
        print_line(line)
    return 0


def describe_settings(session: Session) -> Iterator[str]:
    """Yield a line for each value in force, with where it comes from; secrets are masked."""
    _, settings = _list(session)
    for one in settings:
        yield _describe(session, one)


def _list(session: Session) -> tuple[Path, Iterator[Setting]]:
    known = session.config
    path = session.file
    return path, list_settings(path, known, os.environ)


def schema_text(language: Language) -> str:
    """Return the JSON Schema with the purpose of each key in one language."""

    def describe(key: str) -> str | None:
        text = Keys.__members__.get(key.replace(".", "_").upper())
        return None if text is None else text.render(language)

    return json.dumps(make_schema(describe), ensure_ascii=False, indent=1) + "\n"


def _describe(session: Session, one: Setting) -> str:
    value = one.value if isinstance(one.value, str) else json.dumps(one.value, ensure_ascii=False)
    origin = session.render(_ORIGINS[one.origin], line=one.line, source=one.source or "")
    folder = "" if one.folder is None else f" ({one.folder})"
    return f"{printable(one.key + folder)}: {printable(value)}  # {origin.strip()}"
