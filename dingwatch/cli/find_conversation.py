"""Finds a conversation's ID together with the person who sets dingwatch up, one of three ways."""

from __future__ import annotations

from collections.abc import Iterator

from dingwatch.cli import diagnosis, stream
from dingwatch.cli.dialogue import Dialogue
from dingwatch.dingtalk import Account, Client
from dingwatch.model import Failure
from dingwatch.texts import Problems, Setup


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
        talk.show(diagnosis.told(talk.session, Setup.CHAT_BAD, failure.verdict, account.api_url, chat=chat))


def _pasted(talk: Dialogue) -> Iterator[str]:
    """Yield what the person has found by other means."""
    written = talk.ask(Setup.CONVERSATION_ID)
    if written.startswith("cid"):
        yield written
    else:
        talk.say(Problems.NO_CID)
