"""`dingwatch init`: asks questions, tries the answers against DingTalk, and writes a config that works."""

from __future__ import annotations

import os
import pwd
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import click

from dingwatch.cli import stream
from dingwatch.cli.check import Finding, Mark, check_clock, check_robot, describe_robot_refusal
from dingwatch.cli.config import schema_text
from dingwatch.cli.context import Session, command, option
from dingwatch.cli.dialogue import Dialogue
from dingwatch.cli.init_config import Choices, alias_of_title, config_text, find_problems, write_all
from dingwatch.cli.online import Meter, address_of, describe_failure, make_client
from dingwatch.config.paths import expand_home, user_config
from dingwatch.config.secret import ENVIRONMENT
from dingwatch.dingtalk import Account, Client, Host, SampleFile
from dingwatch.model import Failure, Verdict
from dingwatch.texts import Checks, Cli, Problems, Setup

SERVICE: Final = Path("/etc/dingwatch/config.yaml")
"""The config of the systemd unit, which hands the secret over as a credential, from the file beside it."""
SERVICE_USER: Final = "dingwatch"
SERVICE_STATE: Final = Path("/var/lib/dingwatch")
"""The state directory of the systemd unit; those of its instances lie in it."""
_ANY_CONVERSATION: Final = "cid"


@dataclass(frozen=True, slots=True)
class Target:
    """The files to write: the config, and the secret beside it."""

    config: Path

    @property
    def secret(self) -> Path:
        """The secret's file."""
        name = "client_secret" if self.instance is None else f"{self.instance}.client_secret"
        return self.config.with_name(name)

    @property
    def schema(self) -> Path:
        """The schema's file, which the config names for editors."""
        return self.config.with_suffix(".schema.json")

    @property
    def service(self) -> bool:
        """Whether a systemd unit reads it."""
        return self.config == SERVICE or self.instance is not None

    @property
    def instance(self) -> str | None:
        """The NAME of `dingwatch@NAME`, the unit for one of several organisations, if that reads it."""
        beside = self.config.parent == SERVICE.parent and self.config.suffix == SERVICE.suffix
        return self.config.stem if beside and self.config != SERVICE else None

    @property
    def unit(self) -> str:
        """The systemd unit that reads it."""
        return "dingwatch" if self.instance is None else f"dingwatch@{self.instance}"


@dataclass(frozen=True, slots=True)
class Options:
    """The options of `init`.

    `sandbox` is the address of a sandbox to use instead of DingTalk; `wait` is for how many seconds Stream
    mode waits for a mention.
    """

    sandbox: str | None
    overwrite: bool
    wait: int


@dataclass(frozen=True, slots=True)
class Group:
    """A conversation, and the name for it that goes into `aliases`, if one is known."""

    id: str
    name: str | None = None


@command()
@option(Cli.OPT_OVERWRITE, "--overwrite", is_flag=True)
@option(Cli.OPT_SANDBOX, "--sandbox", metavar="URL")
@option(Cli.OPT_WAIT, "--wait", metavar="SECONDS", type=click.IntRange(min=1), default=300, show_default=True)
def init(session: Session, *, overwrite: bool, sandbox: str | None, wait: int) -> int:
    """Ask, try, and write; the end of the input, or ^C, leaves no file."""
    target = choose_target(session, os.environ)
    try:
        _set_up(Dialogue(session), target, Options(sandbox, overwrite, wait))
    except (click.Abort, KeyboardInterrupt):
        click.echo()
        session.fail(Setup.ENDED)
    return 0


def _set_up(talk: Dialogue, target: Target, options: Options) -> None:
    session = talk.session
    _require_writable(session, target, overwrite=options.overwrite)
    choices = Choices(
        language=session.language,
        client_id="dingxxxx",
        secret_file=None if target.service else target.secret,
        api_url=options.sandbox,
        oapi_url=options.sandbox,
        folder="/",
        conversation_id=_ANY_CONVERSATION,
        schema=target.schema.name,
        state_dir=None if target.instance is None else str(SERVICE_STATE / target.instance),
    )
    # A bad --sandbox address, say, is reported before the first question.
    _require_valid(session, choices, "dingtalk.")
    talk.echo(Setup.WELCOME, path=str(target.config))
    talk.echo(Setup.BEFORE)
    # The calls count in the ledger of an earlier set-up, if there is one.
    meter = Meter(replace(session, path=target.config, secret_needed=False))
    account = _account(talk, options.sandbox)
    choices = replace(choices, client_id=account.client_id)
    choices = replace(choices, folder=_folder(talk, choices))
    with make_client(account, meter.count) as client:
        group = _conversation(talk, client, account, options.wait)
        choices = replace(choices, conversation_id=group.id, conversation_name=group.name)
    _require_valid(session, choices)
    _write(session, target, choices, account.client_secret)
    _print_next(talk, target, choices)
    meter.write()


# --- Where it goes ---------------------------------------------------------------------------------


def choose_target(session: Session, environ: Mapping[str, str]) -> Target:
    """Return where the config goes: `-c`, `$DINGWATCH_CONFIG`, else the user's or the system's config."""
    given = session.path or environ.get("DINGWATCH_CONFIG")
    usual = SERVICE if os.geteuid() == 0 else user_config(environ)
    return Target(Path(os.path.abspath(given or usual)))


def _require_writable(session: Session, target: Target, *, overwrite: bool) -> None:
    """End the command before the first question if the config could not be written in the end."""
    for path in (target.config, target.secret):
        # An empty secret file may be there: the README tells the admin to create it with its mode first.
        if not overwrite and os.path.lexists(path) and (path == target.config or path.lstat().st_size):
            session.fail(Setup.EXISTS, path=str(path))
    above = next(one for one in target.config.parents if os.path.lexists(one))
    if not above.is_dir() or not os.access(above, os.W_OK | os.X_OK):
        session.fail(Setup.UNWRITABLE, path=str(above))


def _require_valid(session: Session, choices: Choices, section: str = "") -> None:
    """End the command if a config of these choices would be refused."""
    problems = [one for one in find_problems(choices, os.environ) if one.key.startswith(section)]
    for problem in problems:
        click.echo(f"{problem.key}: {problem.text}", err=True)
    if problems:
        session.fail(Setup.ENDED)


# --- The app ---------------------------------------------------------------------------------------


def _account(talk: Dialogue, sandbox: str | None) -> Account:
    """Ask for the credentials until they get a token from both hosts."""
    while True:
        client_id, secret = talk.ask(Setup.CLIENT_ID), talk.ask_secret(Setup.CLIENT_SECRET)
        account = Account(client_id, secret, client_id)
        if sandbox is not None:
            account = replace(account, api_url=sandbox.rstrip("/"), oapi_url=sandbox.rstrip("/"))
        while (verdict := _refusal(talk, account)) is not None:
            if verdict.cause.advice == "CREDENTIALS":
                talk.echo(Setup.ASK_AGAIN)
                break
            if not talk.confirm(Setup.AGAIN):
                raise click.Abort
        else:
            return account


def _refusal(talk: Dialogue, account: Account) -> Verdict | None:
    """Get a token from both hosts and compare clocks; return the verdict of a refusal."""
    with make_client(account, lambda _: None) as client:  # tokens are exempt (KB:1432)
        for host in Host:
            try:
                client.fetch_token(host)
            except Failure as failure:
                url = address_of(host, account.api_url, account.oapi_url)
                text = describe_failure(talk.session, Checks.TOKEN_BAD, failure.verdict, url, host=host)
                _show(talk, Finding(Mark.FAIL, text))
                return failure.verdict
        for finding in check_clock(talk.session, client):
            _show(talk, finding)
    _show(talk, Finding(Mark.OK, talk.session.render(Checks.TOKEN)))
    return None


def _show(talk: Dialogue, finding: Finding) -> None:
    talk.print(f"{finding.mark:<4}  {finding.text}")


# --- The folder ------------------------------------------------------------------------------------


def _folder(talk: Dialogue, choices: Choices) -> str:
    """Ask for a folder until it exists and can be watched; return its absolute path."""
    while True:
        path = os.path.normpath(expand_home(talk.ask(Setup.FOLDER), os.environ))
        if not os.path.isabs(path):
            talk.echo(Problems.RELATIVE)
            continue
        problems = find_problems(replace(choices, folder=path), os.environ)
        for problem in problems:
            talk.print(problem.text)
        if not problems and _require_folder(talk, path):
            return path


def _require_folder(talk: Dialogue, path: str) -> bool:
    """Return whether the folder exists and can be listed, after offering to create it."""
    try:
        if not os.path.lexists(path):
            if not talk.confirm(Setup.FOLDER_MAKE, path=path):
                return False
            os.makedirs(path)
        with os.scandir(path):
            return True
    except NotADirectoryError:
        talk.echo(Setup.FOLDER_FILE, path=path)
    except OSError as error:
        talk.echo(Setup.FOLDER_BAD, path=path, reason=error.strerror)
    return False


# --- The trial -------------------------------------------------------------------------------------


def _conversation(talk: Dialogue, client: Client, account: Account, wait: int) -> Group:
    """Ask for a conversation and try it; the person may keep one that does not work yet."""
    while True:
        group = _find_conversation(talk, client, account, wait)
        if _wait_for_robot(talk, client, account, group.id):
            _offer_test_file(talk, client, account, group.id)
            return group
        if not talk.confirm(Setup.OTHER_GROUP):
            return group


def _wait_for_robot(talk: Dialogue, client: Client, account: Account, conversation: str) -> bool:
    """Look for the robot in the group, again and again as long as the person wants.

    Without the permission to look, the test file will show whether it is there.
    """
    while (mark := _check_robot(talk, client, account, conversation)) is Mark.FAIL:
        if not talk.confirm(Setup.AGAIN):
            return False
    if mark is Mark.WARN:
        talk.echo(Setup.ROBOT_UNSEEN)
    return True


def _offer_test_file(talk: Dialogue, client: Client, account: Account, conversation: str) -> None:
    if talk.confirm(Setup.SEND_TEST):
        while not _send_test_file(talk, client, account, conversation):
            if not talk.confirm(Setup.SEND_AGAIN, default=False):
                return


def _check_robot(talk: Dialogue, client: Client, account: Account, conversation: str) -> Mark:
    try:
        finding = check_robot(talk.session, client, conversation, account.robot_code)
    except Failure as failure:
        text = describe_robot_refusal(talk.session, failure, conversation, account.api_url)
        unseen = failure.verdict.cause.advice == "PERMISSION"
        finding = Finding(Mark.WARN if unseen else Mark.FAIL, text)
    _show(talk, finding)
    return finding.mark


def _send_test_file(talk: Dialogue, client: Client, account: Account, conversation: str) -> bool:
    name = talk.session.render(Setup.TEST_NAME)
    content = Setup.TEST_CONTENT.render(talk.session.language)
    try:
        media_id = client.media.upload(name=name, content=content.encode())
        message = SampleFile(media_id, name, "txt")
        client.groups.send(conversation_id=conversation, message=message)
    except Failure as failure:
        talk.print(describe_failure(talk.session, Setup.TEST_FAILED, failure.verdict, account.api_url))
        return False
    talk.echo(Setup.TEST_SENT, name=name)
    return True


# --- The end ---------------------------------------------------------------------------------------


def _write(session: Session, target: Target, choices: Choices, secret: str) -> None:
    contents = {
        target.secret: f"{secret}\n",
        target.schema: schema_text(choices.language),
        target.config: config_text(choices),
    }
    try:
        # The service's user must get into /etc/dingwatch; nobody else needs to get into ~/.config/dingwatch.
        target.config.parent.mkdir(mode=0o755 if target.service else 0o700, parents=True, exist_ok=True)
        write_all(contents, _owners(target))
    except OSError as error:
        session.fail(Setup.NOT_WRITTEN, path=str(error.filename or target.config), reason=error.strerror)


def _owners(target: Target) -> Mapping[Path, tuple[int, int]]:
    """Return the owners of files: the service reads its config itself, but systemd hands the secret over."""
    try:
        user = pwd.getpwnam(SERVICE_USER)
    except KeyError:
        return {}
    return {target.config: (user.pw_uid, user.pw_gid)} if target.service and os.geteuid() == 0 else {}


def _print_next(talk: Dialogue, target: Target, choices: Choices) -> None:
    talk.echo(Setup.WRITTEN, path=str(target.config), secret=str(target.secret))
    talk.echo(Setup.NEXT)
    for line, purpose in _next_commands(talk.session, target, choices):
        talk.print(f"  {line}    # {purpose}")
    if not target.service:
        talk.echo(Setup.NEXT_SERVICE)


def _next_commands(session: Session, target: Target, choices: Choices) -> list[tuple[str, str]]:
    """Return the commands to type next, each with its purpose."""
    check = session.render(Setup.NEXT_CHECK)
    commands: list[tuple[str, str]] = []
    if target.service:
        if not _owners(target):
            commands.append((f"chown {SERVICE_USER}: {target.config}", session.render(Setup.NEXT_OWNER)))
        named = "" if target.instance is None else f" -c {shlex.quote(str(target.config))}"
        secret = shlex.quote(str(target.secret))
        commands.append((f"{ENVIRONMENT}=$(cat {secret}) dingwatch check{named}", check))
        enable = f"systemctl daemon-reload && systemctl enable --now {shlex.quote(target.unit)}"
        return [*commands, (enable, session.render(Setup.NEXT_ENABLE))]
    if os.environ.get(ENVIRONMENT):
        commands.append((f"unset {ENVIRONMENT}", session.render(Setup.NEXT_UNSET)))
    given = f" -c {shlex.quote(str(target.config))}" if session.path else ""
    run = session.render(Setup.NEXT_RUN, folder=choices.folder)
    return [*commands, (f"dingwatch check{given}", check), (f"dingwatch run{given}", run)]


# --- The conversation ----------------------------------------------------------------------------


def _find_conversation(talk: Dialogue, client: Client, account: Account, wait: int) -> Group:
    """Let the person choose ways to find the conversation's ID until one works; `wait` is in seconds."""
    while True:
        way = talk.choose(Setup.WAYS, Setup.WAY_STREAM, Setup.WAY_CHAT, Setup.WAY_PASTE)
        ways = (
            lambda: _find_by_mention(talk, account, wait),
            lambda: _find_by_chat(talk, client, account),
            lambda: _paste(talk),
        )
        for group in ways[way]():
            talk.echo(Setup.FOUND, conversation=group.id)
            return group


def _find_by_mention(talk: Dialogue, account: Account, wait: int) -> Iterator[Group]:
    """Yield the group in which the robot was mentioned, once the person has confirmed it."""
    while True:
        talk.echo(Setup.MENTION_NOW, seconds=wait)
        try:
            mention = stream.first_mention(account, wait)
        except stream.StreamMissingError:
            talk.echo(Setup.STREAM_MISSING, command=stream.INSTALL)
            return
        except stream.ConnectError as error:
            talk.echo(Setup.STREAM_FAILED, reason=str(error))
            return
        except (TimeoutError, KeyboardInterrupt):
            talk.echo(Setup.MENTION_NONE)
            return
        if not mention.group:
            talk.echo(Setup.MENTION_ALONE, person=mention.person)
        elif _confirm_mention(talk, mention):
            yield Group(mention.conversation_id, alias_of_title(mention.title))
            return


def _confirm_mention(talk: Dialogue, mention: stream.Mention) -> bool:
    conversation, title, person = mention.conversation_id, mention.title, mention.person
    return talk.confirm(Setup.MENTION_IS_IT, person=person, title=title, conversation=conversation)


def _find_by_chat(talk: Dialogue, client: Client, account: Account) -> Iterator[Group]:
    """Yield the ID that DingTalk converts a chatId to."""
    chat = talk.ask(Setup.CHAT_ID)
    try:
        yield Group(client.conversations.open_id(chat))
    except Failure as failure:
        talk.print(
            describe_failure(talk.session, Setup.CHAT_BAD, failure.verdict, account.api_url, chat=chat)
        )


def _paste(talk: Dialogue) -> Iterator[Group]:
    """Yield the ID that the person pastes."""
    written = talk.ask(Setup.CONVERSATION_ID)
    if written.startswith("cid"):
        yield Group(written)
    else:
        talk.echo(Problems.NO_CID)
