"""Every kind of recipient through every decision that depends on it; a new kind is walked through by itself.

What a kind does at DingTalk is tried against the sandbox, in `integration/test_recipient_kinds.py`.
"""

import dataclasses
import re
from itertools import product
from pathlib import Path

import pytest

from dingwatch.config.assembly import load
from dingwatch.config.values import Config, ConfigError
from dingwatch.delivery.limits import hosts_of, message_target
from dingwatch.dingtalk import BILLED
from dingwatch.model import (
    Cause,
    Misconfigured,
    NoAnswer,
    NotReached,
    QuotaExhausted,
    Recipient,
    RecipientKind,
    Rejected,
    Route,
    Scope,
    Throttled,
)
from dingwatch.recipients import KINDS, Kind, billed_calls, can_receive_files, recipient_kind
from dingwatch.service.folders import addresses, payload_policy
from dingwatch.texts import Advice

KEYS = {
    RecipientKind.GROUP: "conversation_id: cidA==",
    RecipientKind.PERSON: "user_ids: [user1]",
    RecipientKind.CHAT: "chat_id: chat1",
    RecipientKind.WEBHOOK: "webhook: https://oapi.dingtalk.com/robot/send?access_token=abc",
}
"""How a folder names a recipient of each kind in the configuration."""
WIDTH = list(Scope)


@pytest.fixture(params=list(RecipientKind))
def kind(request: pytest.FixtureRequest) -> Kind:
    """Each kind of recipient in turn."""
    return KINDS[request.param]


def configured(kind: Kind, path: Path, send_as: str) -> Config:
    """Return a configuration whose only recipient is of a kind."""
    (path / "share").mkdir(exist_ok=True)
    file = path / "config.yaml"
    file.write_text(
        f"dingtalk: {{client_id: ding1, client_secret: secret}}\nstate_dir: {path}/state\n"
        f"folders:\n  - path: {path}/share\n    send_as: {send_as}\n    {KEYS[kind.kind]}\n"
    )
    file.chmod(0o600)
    return load(file, environ={})


def test_every_kind_is_entered_and_decides_everything() -> None:
    """No kind is forgotten, and none can leave a decision out: no field has a default."""
    assert set(KINDS) == set(RecipientKind)
    assert all(kind.kind is word for word, kind in KINDS.items())
    for field in dataclasses.fields(Kind):
        assert field.default is field.default_factory is dataclasses.MISSING, field.name


def test_its_word_is_read_back(kind: Kind) -> None:
    """The ledger's word for a recipient names its kind and its id."""
    recipient = Recipient(kind.kind, f"{kind.id_prefix}x:1")
    assert Recipient.of(str(recipient)) == recipient
    assert recipient_kind(str(recipient)) is kind


def test_a_config_key_names_it(kind: Kind, tmp_path: Path) -> None:
    """A folder's key makes a recipient of the kind, with an address where the kind has one."""
    setting = configured(kind, tmp_path, "notice")
    (word,) = setting.folders[0].recipients
    assert recipient_kind(word) is kind
    assert (Recipient.of(word).id in addresses(setting)) == (kind.host is None)


def test_the_config_refuses_files_for_whom_takes_none(kind: Kind, tmp_path: Path) -> None:
    """Only `send_as: notice` goes with a recipient that takes no files, and `send` refuses it."""
    if kind.takes_files:
        setting = configured(kind, tmp_path, "file")
    else:
        with pytest.raises(ConfigError):
            configured(kind, tmp_path, "file")
        setting = configured(kind, tmp_path, "notice")
    (word,) = setting.folders[0].recipients
    assert can_receive_files(word) is kind.takes_files
    assert not can_receive_files(str(Recipient(kind.kind, "")))


def test_the_name_of_an_upload_matters_where_people_see_it(kind: Kind, tmp_path: Path) -> None:
    """Then the name is part of the upload's key, and the same content under two names is uploaded twice."""
    setting = configured(kind, tmp_path, "notice")
    assert payload_policy(setting, setting.folders[0], 1).named is kind.shows_upload_name


def test_its_apis_are_known_to_the_pace_and_the_meter(kind: Kind) -> None:
    """Each kind has an API of its own for messages, which knows its token and its quota."""
    word = str(Recipient(kind.kind, f"{kind.id_prefix}1"))
    assert [one for one in KINDS.values() if one.message_api == kind.message_api] == [kind]
    assert message_target(word).api == kind.message_api == kind.api_by(Route.ROBOT)
    assert hosts_of(kind.message_api) == ((kind.host,) if kind.host else ())
    assert (kind.api_by(Route.DRIVE) != kind.message_api) == (kind.entries is not None)
    assert (kind.message_api in BILLED) == (kind.host is not None)  # what has no token is no call of the app


def test_what_its_messages_cost_is_known_beforehand(kind: Kind) -> None:
    """One call carries a message to as many recipients as the kind takes, and one more needs another."""
    words = [str(Recipient(kind.kind, f"{kind.id_prefix}{number}")) for number in range(kind.batch + 1)]
    billed = kind.message_api in BILLED
    assert (billed_calls(words[:-1]), billed_calls(words)) == ((1, 2) if billed else (0, 0))


def test_its_refusals_are_understood(kind: Kind) -> None:
    """A verdict says what to do in words that exist, and reaches no further than it did or the recipient."""
    causes = [Cause("code", "", advice) for advice in ("CONVERSATION", "PERMISSION", "UNREACHABLE")]
    kinds = (Misconfigured, NoAnswer, NotReached, QuotaExhausted, Rejected, Throttled)
    for verdict in (made(cause, scope) for made, cause, scope in product(kinds, causes, Scope)):
        judged = kind.judge(verdict)
        assert judged.cause.advice in Advice.__members__
        assert WIDTH.index(judged.scope) <= max(WIDTH.index(verdict.scope), WIDTH.index(Scope.CONVERSATION))
        if kind.host is None:  # what has no token of the app's cannot be the app's trouble
            assert judged.scope is not Scope.APP
    if kind.recall is not None and kind.recall.hours is not None:
        assert kind.recall.hours > 0


KNOWING = re.compile(r"RecipientKind|MOST_PERSONS|API_(?:SEND_PERSONS|CHAT|WEBHOOK)\b|\.(?:user|chat)_ids\b")
"""What code has in it that distinguishes kinds of recipients."""


def test_nothing_else_distinguishes_kinds() -> None:
    """Only `recipients/`, the words in `model.py` and the keys in `config/` know the kinds one by one."""
    package = Path(__file__).parents[2] / "dingwatch"
    home = {"recipients", "config", "dingtalk", "sandbox", "model.py"}
    found = [
        f"{path.relative_to(package)}:{number}: {line.strip()}"
        for path in package.rglob("*.py")
        if path.relative_to(package).parts[0] not in home
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if KNOWING.search(line)
    ]
    assert not found, "\n".join(found)
