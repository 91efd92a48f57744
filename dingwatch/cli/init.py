"""`dingwatch init`: from nothing to a config that works, by questions."""

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
from dingwatch.cli.check import Finding, Mark, check_clock, check_robot
from dingwatch.cli.context import Session
from dingwatch.cli.dialogue import Dialogue
from dingwatch.cli.init_config import Choices, config_text, problems_of, write_all
from dingwatch.cli.online import Meter, address_of, connected, describe_failure
from dingwatch.config.assembly import expanded
from dingwatch.config.secret import ENVIRONMENT
from dingwatch.dingtalk import Account, Client, Host, SampleFile
from dingwatch.model import Failure, Verdict
from dingwatch.texts import Checks, Problems, Setup

SERVICE: Final = Path("/etc/dingwatch/config.yaml")
"""Where the systemd unit looks; it hands the secret over as a credential, from the file beside it."""
SERVICE_USER: Final = "dingwatch"
_SOME_CONVERSATION: Final = "cid"


@dataclass(frozen=True, slots=True)
class Place:
    """Where the config goes, and the secret beside it."""

    config: Path

    @property
    def secret(self) -> Path:
        """The secret's file."""
        return self.config.with_name("client_secret")

    @property
    def service(self) -> bool:
        """Whether the systemd unit looks there."""
        return self.config == SERVICE


@dataclass(frozen=True, slots=True)
class Wishes:
    """What was said on the command line.

    `sandbox` is the address of a stand-in to be used instead of DingTalk; `wait` is for how many seconds
    Stream mode waits for a mention.
    """

    sandbox: str | None
    overwrite: bool
    wait: int


def init(session: Session, wishes: Wishes) -> int:
    """Ask, try, and write; the end of the answers, or ^C, leaves no file."""
    place = place_of(session, os.environ)
    try:
        _led(Dialogue(session), place, wishes)
    except (click.Abort, KeyboardInterrupt):
        click.echo()
        session.fail(Setup.ENDED)
    return 0


def _led(talk: Dialogue, place: Place, wishes: Wishes) -> None:
    session = talk.session
    _require_writable(session, place, overwrite=wishes.overwrite)
    choices = Choices(
        language=session.language,
        client_id="dingxxxx",
        secret_file=None if place.service else place.secret,
        api_url=wishes.sandbox,
        oapi_url=wishes.sandbox,
        folder="/",
        conversation_id=_SOME_CONVERSATION,
    )
    _require_sound(session, choices, "dingtalk.")
    talk.say(Setup.WELCOME, path=str(place.config))
    talk.say(Setup.BEFORE)
    meter = Meter(replace(session, path=place.config, secret_needed=False))
    account = _account(talk, wishes.sandbox)
    choices = replace(choices, client_id=account.client_id)
    choices = replace(choices, folder=_folder(talk, choices))
    with connected(account, meter.count) as client:
        conversation = _conversation(talk, client, account, wishes.wait)
        choices = replace(choices, conversation_id=conversation)
    _require_sound(session, choices)
    _write(session, place, choices, account.client_secret)
    _tell_next(talk, place, choices)
    meter.write()


# --- Where it goes ---------------------------------------------------------------------------------


def place_of(session: Session, environ: Mapping[str, str]) -> Place:
    """Return where the config goes: `-c`, `$DINGWATCH_CONFIG`, else the user's or the system's own place."""
    given = session.path or environ.get("DINGWATCH_CONFIG")
    usual = SERVICE if os.geteuid() == 0 else Path(expanded("~/.config/dingwatch/config.yaml", environ))
    return Place(Path(os.path.abspath(given or usual)))


def _require_writable(session: Session, place: Place, *, overwrite: bool) -> None:
    """End the command before anything is asked when it could not write in the end."""
    for path in (place.config, place.secret):
        # The README has an empty file made for the secret.
        if not overwrite and os.path.lexists(path) and (path == place.config or path.lstat().st_size):
            session.fail(Setup.EXISTS, path=str(path))
    above = next(one for one in place.config.parents if os.path.lexists(one))
    if not above.is_dir() or not os.access(above, os.W_OK | os.X_OK):
        session.fail(Setup.UNWRITABLE, path=str(above))


def _require_sound(session: Session, choices: Choices, section: str = "") -> None:
    """End the command when a config of these choices would be refused."""
    problems = [one for one in problems_of(choices, os.environ) if one.key.startswith(section)]
    for problem in problems:
        click.echo(f"{problem.key}: {problem.text}", err=True)
    if problems:
        session.fail(Setup.ENDED)


# --- The app ---------------------------------------------------------------------------------------


def _account(talk: Dialogue, sandbox: str | None) -> Account:
    """Ask for the credentials until they have got a token from both hosts."""
    while True:
        client_id, secret = talk.ask(Setup.CLIENT_ID), talk.ask_secret(Setup.CLIENT_SECRET)
        account = Account(client_id, secret, client_id)
        if sandbox is not None:
            account = replace(account, api_url=sandbox.rstrip("/"), oapi_url=sandbox.rstrip("/"))
        while (verdict := _refusal(talk, account)) is not None:
            if verdict.cause.advice == "CREDENTIALS":
                talk.say(Setup.ASK_AGAIN)
                break
            if not talk.agreed(Setup.AGAIN):
                raise click.Abort
        else:
            return account


def _refusal(talk: Dialogue, account: Account) -> Verdict | None:
    """Ask both hosts for a token and compare clocks; None when there is nothing to do about it."""
    with connected(account, lambda _: None) as client:  # tokens are exempt (KB:1432)
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
    _show(talk, Finding(Mark.OK, talk.session.say(Checks.TOKEN)))
    return None


def _show(talk: Dialogue, finding: Finding) -> None:
    talk.show(f"{finding.mark:<4}  {finding.text}")


# --- The folder ------------------------------------------------------------------------------------


def _folder(talk: Dialogue, choices: Choices) -> str:
    """Ask for a folder until it is there and can be watched; return its absolute path."""
    while True:
        path = os.path.normpath(expanded(talk.ask(Setup.FOLDER), os.environ))
        if not os.path.isabs(path):
            talk.say(Problems.RELATIVE)
            continue
        problems = problems_of(replace(choices, folder=path), os.environ)
        for problem in problems:
            talk.show(problem.text)
        if not problems and _made(talk, path):
            return path


def _made(talk: Dialogue, path: str) -> bool:
    """Say whether the folder is there, or could be made."""
    try:
        if not os.path.lexists(path):
            if not talk.agreed(Setup.FOLDER_MAKE, path=path):
                return False
            os.makedirs(path)
        with os.scandir(path):
            return True
    except NotADirectoryError:
        talk.say(Setup.FOLDER_FILE, path=path)
    except OSError as error:
        talk.say(Setup.FOLDER_BAD, path=path, reason=error.strerror)
    return False


# --- The trial -------------------------------------------------------------------------------------


def _conversation(talk: Dialogue, client: Client, account: Account, wait: int) -> str:
    """Ask for a conversation, and try it; one that does not work yet is the person's to keep."""
    while True:
        conversation = conversation_of(talk, client, account, wait)
        if _robot_there(talk, client, account, conversation):
            _offer_test_file(talk, client, account, conversation)
            return conversation
        if not talk.agreed(Setup.OTHER_GROUP):
            return conversation


def _robot_there(talk: Dialogue, client: Client, account: Account, conversation: str) -> bool:
    """Look for the robot in the group as often as the person wants."""
    while not (there := _robot_inside(talk, client, account, conversation)) and talk.agreed(Setup.AGAIN):
        pass
    return there


def _offer_test_file(talk: Dialogue, client: Client, account: Account, conversation: str) -> None:
    if talk.agreed(Setup.SEND_TEST):
        while not _test_file_sent(talk, client, account, conversation):
            if not talk.agreed(Setup.SEND_AGAIN, default=False):
                return


def _robot_inside(talk: Dialogue, client: Client, account: Account, conversation: str) -> bool:
    try:
        finding = check_robot(talk.session, client, conversation, account.robot_code)
    except Failure as failure:
        text = describe_failure(
            talk.session,
            Checks.ROBOT_UNKNOWN,
            failure.verdict,
            account.api_url,
            conversation=conversation,
        )
        finding = Finding(Mark.FAIL, text)
    _show(talk, finding)
    return finding.mark is Mark.OK


def _test_file_sent(talk: Dialogue, client: Client, account: Account, conversation: str) -> bool:
    name = talk.session.say(Setup.TEST_NAME)
    content = Setup.TEST_CONTENT.render(talk.session.language)
    try:
        media_id = client.media.upload(name=name, content=content.encode())
        message = SampleFile(media_id, name, "txt")
        client.groups.send(conversation_id=conversation, message=message)
    except Failure as failure:
        talk.show(describe_failure(talk.session, Setup.TEST_FAILED, failure.verdict, account.api_url))
        return False
    talk.say(Setup.TEST_SENT, name=name)
    return True


# --- The end ---------------------------------------------------------------------------------------


def _write(session: Session, place: Place, choices: Choices, secret: str) -> None:
    contents = {place.secret: f"{secret}\n", place.config: config_text(choices)}
    try:
        place.config.parent.mkdir(mode=0o755 if place.service else 0o700, parents=True, exist_ok=True)
        write_all(contents, _owners(place))
    except OSError as error:
        session.fail(Setup.NOT_WRITTEN, path=str(error.filename or place.config), reason=error.strerror)


def _owners(place: Place) -> Mapping[Path, tuple[int, int]]:
    """Return who is to own what: the service reads its config itself, and is handed the secret by systemd."""
    try:
        user = pwd.getpwnam(SERVICE_USER)
    except KeyError:
        return {}
    return {place.config: (user.pw_uid, user.pw_gid)} if place.service and os.geteuid() == 0 else {}


def _tell_next(talk: Dialogue, place: Place, choices: Choices) -> None:
    talk.say(Setup.WRITTEN, path=str(place.config), secret=str(place.secret))
    talk.say(Setup.NEXT)
    for command, why in _next(talk.session, place, choices):
        talk.show(f"  {command}    # {why}")
    if not place.service:
        talk.say(Setup.NEXT_SERVICE)


def _next(session: Session, place: Place, choices: Choices) -> list[tuple[str, str]]:
    """Return the commands to be typed, and what for."""
    check = session.say(Setup.NEXT_CHECK)
    if place.service:
        known = {} if _owners(place) else {f"chown {SERVICE_USER}: {place.config}": Setup.NEXT_OWNER}
        return [
            *((command, session.say(text)) for command, text in known.items()),
            (f"{ENVIRONMENT}=$(cat {place.secret}) dingwatch check", check),
            ("systemctl daemon-reload && systemctl enable --now dingwatch", session.say(Setup.NEXT_ENABLE)),
        ]
    given = f" -c {shlex.quote(str(place.config))}" if session.path else ""
    unset = [(f"unset {ENVIRONMENT}", session.say(Setup.NEXT_UNSET))] if os.environ.get(ENVIRONMENT) else []
    run = session.say(Setup.NEXT_RUN, folder=choices.folder)
    return [*unset, (f"dingwatch check{given}", check), (f"dingwatch run{given}", run)]


# --- The conversation ----------------------------------------------------------------------------


def conversation_of(talk: Dialogue, client: Client, account: Account, wait: int) -> str:
    """Ask which way, and go it, until there is an ID; `wait` is in seconds."""
    while True:
        way = talk.chosen(Setup.WAYS, Setup.WAY_STREAM, Setup.WAY_CHAT, Setup.WAY_PASTE)
        ways = (
            lambda: _by_mention(talk, account, wait),
            lambda: _by_chat(talk, client, account),
            lambda: _pasted(talk),
        )
        for conversation in ways[way]():
            talk.say(Setup.FOUND, conversation=conversation)
            return conversation


def _by_mention(talk: Dialogue, account: Account, wait: int) -> Iterator[str]:
    """Yield the group in which the robot was mentioned, once the person says that it is the one."""
    while True:
        talk.say(Setup.MENTION_NOW, seconds=wait)
        try:
            mention = stream.first_mention(account, wait)
        except stream.Missing:
            talk.say(Setup.STREAM_MISSING, command=stream.INSTALL)
            return
        except stream.NotOpened as error:
            talk.say(Setup.STREAM_FAILED, reason=str(error))
            return
        except (TimeoutError, KeyboardInterrupt):
            talk.say(Setup.MENTION_NONE)
            return
        if not mention.group:
            talk.say(Setup.MENTION_ALONE, person=mention.person)
        elif _is_it(talk, mention):
            yield mention.conversation_id
            return


def _is_it(talk: Dialogue, mention: stream.Mention) -> bool:
    conversation, title, person = mention.conversation_id, mention.title, mention.person
    return talk.agreed(Setup.MENTION_IS_IT, person=person, title=title, conversation=conversation)


def _by_chat(talk: Dialogue, client: Client, account: Account) -> Iterator[str]:
    """Yield what DingTalk converts a chatId to."""
    chat = talk.ask(Setup.CHAT_ID)
    try:
        yield client.conversations.open_id(chat)
    except Failure as failure:
        talk.show(describe_failure(talk.session, Setup.CHAT_BAD, failure.verdict, account.api_url, chat=chat))


def _pasted(talk: Dialogue) -> Iterator[str]:
    """Yield what the person has found by other means."""
    written = talk.ask(Setup.CONVERSATION_ID)
    if written.startswith("cid"):
        yield written
    else:
        talk.say(Problems.NO_CID)
