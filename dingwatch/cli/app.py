"""The command line: every command, its options, and what it calls."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Concatenate, ParamSpec

import click

import dingwatch
from dingwatch.cli import check, decide, fetch, history, retry, run, send, status, why
from dingwatch.cli.context import Session, own_language
from dingwatch.ledger import LedgerError
from dingwatch.lifecycle import State
from dingwatch.service import EXIT_BUG, log_bug, log_to_stderr
from dingwatch.texts import Back, Cli, Text

P = ParamSpec("P")
CONFIG = click.Path(path_type=Path, readable=False)
"""Whether it can be read shows when it is: a bad config is exit code 78, however it was named."""
MOST = 2**63 - 1
"""Of rows: what the ledger can count."""
STATES = [*(str(state) for state in State), "baseline"]


def _help(text: Text) -> str:
    return text.render(own_language())


@click.group(help=_help(Cli.HELP), context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(dingwatch.__version__, prog_name="dingwatch")
def cli() -> None:
    """Group all commands; the help text is in texts.py."""


def command(
    text: Text, *, secret: bool = True
) -> Callable[[Callable[Concatenate[Session, P], int | None]], click.Command]:
    """Make a command of a function; it gets a session, and what it returns is the exit code.

    `secret` says whether it needs the client secret.
    """

    def decorate(function: Callable[Concatenate[Session, P], int | None]) -> click.Command:
        @cli.command(function.__name__.rstrip("_"), help=_help(text))
        @click.option("-c", "--config", "path", type=CONFIG, help=_help(Cli.OPT_CONFIG))
        @functools.wraps(function)
        def wrapped(path: Path | None, **options: Any) -> None:  # noqa: ANN401 (click gives what was declared)
            session = Session(path, own_language(), secret_needed=secret)
            with _expected(session):
                code = function(session, **options)  # type: ignore[call-arg]
            sys.exit(code or 0)

        return wrapped

    return decorate


@command(Cli.RUN)
def run_(session: Session) -> None:
    """Run the service."""
    run.run(session)


@command(Cli.CHECK)
@click.option("--offline", is_flag=True, help=_help(Cli.OPT_OFFLINE))
def check_(session: Session, *, offline: bool) -> int:
    """Check everything before the first run."""
    return check.check(session, offline=offline)


@command(Cli.STATUS, secret=False)
@click.option("--json", "as_json", is_flag=True, help=_help(Cli.OPT_JSON))
@click.option("--metrics", "as_metrics", is_flag=True, help=_help(Cli.OPT_METRICS))
def status_(session: Session, *, as_json: bool, as_metrics: bool) -> int:
    """Show what is going on."""
    if as_json and as_metrics:
        raise click.UsageError(session.say(Cli.ONE_FORMAT))
    if as_metrics:
        from dingwatch.cli import metrics  # noqa: PLC0415 (its library is no load for the other commands)

        return metrics.metrics(session)
    return status.status(session, as_json=as_json)


@command(Cli.HISTORY, secret=False)
@click.option("--json", "as_json", is_flag=True, help=_help(Cli.OPT_JSON))
@click.option("--folder", metavar="NAME", help=_help(Cli.OPT_FOLDER))
@click.option("--state", type=click.Choice(STATES), help=_help(Cli.OPT_STATE))
@click.option(
    "--limit", type=click.IntRange(0, MOST), default=20, show_default=True, help=_help(Cli.OPT_LIMIT)
)
def history_(session: Session, *, as_json: bool, folder: str | None, state: str | None, limit: int) -> int:
    """Show what was sent and what was not."""
    return history.history(session, as_json=as_json, folder=folder, state=state, limit=limit)


@command(Cli.RETRY, secret=False)
@click.argument("ids", type=int, nargs=-1, metavar="[ID]...")
@click.option("--all", "everything", is_flag=True, help=_help(Cli.OPT_ALL))
@click.option("--folder", metavar="NAME", help=_help(Cli.OPT_FOLDER))
@click.option("--baseline", is_flag=True, help=_help(Cli.OPT_BASELINE))
def retry_(
    session: Session, *, ids: tuple[int, ...], everything: bool, folder: str | None, baseline: bool
) -> int:
    """Put what failed back to work."""
    chosen = [bool(ids), everything, folder is not None or baseline]
    if chosen.count(True) != 1 or (folder is None) == baseline:
        raise click.UsageError(session.say(Cli.RETRY_WHAT))
    if everything:
        return retry.retry_all(session)
    return retry.retry_baseline(session, folder) if folder is not None else retry.retry_ids(session, ids)


@command(Cli.RESOLVE, secret=False)
@click.argument("delivery", type=int, metavar="ID")
@click.option("--sent", is_flag=True, help=_help(Cli.OPT_SENT))
@click.option("--resend", is_flag=True, help=_help(Cli.OPT_RESEND))
def resolve_(session: Session, *, delivery: int, sent: bool, resend: bool) -> int:
    """Settle an uncertain delivery."""
    if sent == resend:
        raise click.UsageError(session.say(Cli.RESOLVE_WHAT))
    return decide.resolve(session, delivery, sent=sent)


@command(Cli.RELEASE, secret=False)
@click.argument("folder")
def release_(session: Session, *, folder: str) -> int:
    """Let go what is held in a folder."""
    return decide.release(session, folder)


@command(Cli.DISCARD, secret=False)
@click.argument("folder")
def discard_(session: Session, *, folder: str) -> int:
    """Give up what is held in a folder."""
    return decide.discard(session, folder)


@command(Cli.RESUME, secret=False)
def resume_(session: Session) -> int:
    """Try again what is paused."""
    return decide.resume(session)


@command(Cli.WHY, secret=False)
@click.argument("file", metavar="PATH")
def why_(session: Session, *, file: str) -> int:
    """Show every decision about one path."""
    return why.why(session, file)


@command(Cli.SEND)
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--to", "target", required=True, metavar="CONVERSATION|FOLDER", help=_help(Cli.OPT_TO))
def send_(session: Session, *, files: tuple[Path, ...], target: str) -> int:
    """Send files now."""
    return send.send(session, files, target)


@command(Cli.INIT, secret=False)
@click.option("--overwrite", is_flag=True, help=_help(Cli.OPT_OVERWRITE))
@click.option("--sandbox", metavar="URL", help=_help(Cli.OPT_SANDBOX))
@click.option("--wait", type=click.IntRange(min=1), default=300, show_default=True, help=_help(Cli.OPT_WAIT))
def init_(session: Session, *, overwrite: bool, sandbox: str | None, wait: int) -> int:
    """Lead through the set-up."""
    from dingwatch.cli import init  # noqa: PLC0415 (who watches folders for years needs no questions)

    return init.init(session, init.Wishes(sandbox, overwrite, wait))


@command(Back.LINK)
@click.argument("delivery", type=int, metavar="ID")
@click.option("--json", "as_json", is_flag=True, help=_help(Cli.OPT_JSON))
def link_(session: Session, *, delivery: int, as_json: bool) -> int:
    """Give a temporary download address."""
    return fetch.link(session, delivery, as_json=as_json)


@command(Back.FETCH)
@click.argument("delivery", type=int, metavar="ID")
@click.option(
    "-o",
    "--output",
    "target",
    required=True,
    metavar="FILE",
    type=click.Path(path_type=Path),
    help=_help(Back.OPT_OUT),
)
@click.option("--force", is_flag=True, help=_help(Back.OPT_FORCE))
def fetch_(session: Session, *, delivery: int, target: Path, force: bool) -> int:
    """Get the bytes of a delivery back."""
    return fetch.fetch(session, delivery, target, force=force)


@command(Cli.RECALL)
@click.argument("delivery", type=int, metavar="ID")
def recall_(session: Session, *, delivery: int) -> int:
    """Take a sent message back."""
    return fetch.recall(session, delivery)


@command(Cli.DEMO)
def demo_(session: Session) -> int:
    """Try it without an account."""
    from dingwatch.cli import demo  # noqa: PLC0415 (the stand-in's web server is no load for the daemon)

    return demo.demo(session)


@command(Cli.SANDBOX)
@click.option("--host", default="127.0.0.1", show_default=True, help=_help(Cli.OPT_HOST))
@click.option(
    "--port", type=click.IntRange(0, 65535), default=8765, show_default=True, help=_help(Cli.OPT_PORT)
)
def sandbox_(session: Session, *, host: str, port: int) -> int:
    """Run the local stand-in for DingTalk."""
    from dingwatch.cli import demo  # noqa: PLC0415 (as above)

    return demo.sandbox(session, host, port)


@contextmanager
def _expected(session: Session) -> Iterator[None]:
    """End a command that meets what can be expected of a machine with one line, not with a traceback."""
    try:
        yield
    except PermissionError as error:
        session.fail(Cli.FORBIDDEN, path=error.filename or session.config.state_dir)
    except LedgerError as error:
        session.ledger_failed(error)


def main() -> None:
    """Run the command line."""
    for stream in (sys.stdout, sys.stderr):
        # A terminal that cannot show a Chinese name must not end the command.
        if stream is not None:  # as it is when it was closed before the start
            stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    try:
        cli(prog_name="dingwatch")
    except Exception as error:  # noqa: BLE001 (told here, for Python's own story may hold a secret)
        log_to_stderr()
        log_bug(Cli.BUG.render(own_language()), error)
        sys.exit(EXIT_BUG)
