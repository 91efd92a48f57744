"""What can be chosen about the sandbox, and what is only a guess about DingTalk."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from dingwatch.sandbox.limits import Limits
from dingwatch.sandbox.model import Conversation

# Fixed, so that a config written once keeps working. The ids carry `+` and `/` as real ones do: a
# client that forgets to escape or that matches them by a narrow pattern shows it here.
CONVERSATIONS = (
    Conversation("cid6KeBBLoveMJOGXoYKF5x7Q==", "财务共享 · Finance", chat_id="chatf3a1c0d9e8b7"),
    Conversation("cid+vIrzT9f/8QmN2pLk4WdXg==", "项目周报 · Weekly reports", chat_id="chat5b6e7d8c9a0f"),
    Conversation("cidl1B8RVUFmkO50OC9uEbySQ==", "仓库扫描件 · Warehouse scans", chat_id="chat0a9b8c7d6e5f"),
    Conversation(
        "cidQ0pXm/3kUyN7tB+eW5sLzA==",
        "机器人不在的群 · No robot here",
        robot_inside=False,
        chat_id="chat1d2c3b4a5f6e",
    ),
)

MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Webhook:
    """A custom robot of one group, with the security settings that its address has (KB:0717).

    Attributes:
        token: the access_token in its address.
        conversation_id: its group.
        name: as shown in the chat.
        secret: for the signature; empty: none is wanted.
        keywords: one of them must be in the message; none: any message may go.
        addresses: from where it may be called; none: from anywhere.
    """

    token: str
    conversation_id: str
    name: str = "通知"
    secret: str = ""
    keywords: tuple[str, ...] = ()
    addresses: tuple[str, ...] = ()


WEBHOOKS = (
    Webhook(
        "7f1c0d3be5a94628b0c7d1e2f3a4b5c6d7e8f9a0b1c2d3e4f5a6b7c8d9e0f1a2",
        CONVERSATIONS[0].id,
        secret="SECsandbox4d1f8b0c6e2a9537",  # noqa: S106 -- opens only the sandbox
    ),
    Webhook(
        "2a1f0e9d8c7b6a5f4e3d2c1b0a9f8e7d6c5b4a3f2e1d0c9b8a7f6e5d4c3b2a1f",
        CONVERSATIONS[1].id,
        keywords=("文件", "file"),
    ),
)


@dataclass(frozen=True, slots=True)
class MediaRules:
    """What `media/upload` takes.

    The documented list (KB:0646) is narrower than what is reported to work: .txt, .md, images, mp4 and
    source files go through as `file`. Known refusals are .html and a name without extension. Everything
    else is unverified [?], so `file` refuses a list instead of accepting one.

    Attributes:
        limits: greatest size in bytes by type, inclusive. 2^20 and "inclusive" are unverified [?];
            KB:0013 still says 10 MB for a file.
        refused: extensions that type `file` refuses, lower-case, without dot.
        accepted: for the other types, the only extensions they take (KB:0646).
    """

    limits: Mapping[str, int] = field(
        default_factory=lambda: MappingProxyType(
            {"image": 20 * MIB, "voice": 2 * MIB, "video": 20 * MIB, "file": 20 * MIB}
        )
    )
    refused: frozenset[str] = frozenset({"html", "htm"})
    accepted: Mapping[str, frozenset[str]] = field(
        default_factory=lambda: MappingProxyType(
            {
                "image": frozenset({"jpg", "gif", "png", "bmp"}),
                "voice": frozenset({"amr", "mp3", "wav"}),
                "video": frozenset({"mp4"}),
            }
        )
    )

    def takes(self, kind: str, extension: str) -> bool:
        """Whether an upload of this type may have this extension (lower-case, without dot)."""
        if not extension:
            return False
        accepted = self.accepted.get(kind)
        return extension in accepted if accepted is not None else extension not in self.refused


@dataclass(frozen=True, slots=True)
class Guesses:
    """Answers that nobody could verify [?]. Each is one that DingTalk lists somewhere; change it here.

    Attributes:
        bad_token_errcode: legacy answer to an unknown or expired token: 40014, 42001 or 40001.
        oversize_errcode: 40006 or 45001.
        unknown_media_code: a well-formed mediaId that was never uploaded. None: the message is taken
            and shows nothing usable, which is just as possible.
        outsider_code: the robot is not in the group. None: taken, and nobody sees it.
        commit_size_code: a commit whose size is not that of the stored bytes.
        early_queries: how many questions about a message come before its data is there; by the clock at
            DingTalk, by the count here.
        entries_need_extension: a file of the drive without an extension is dentryNameIllegal; KB:0675 says
            that a name comes "with its suffix", not what happens without.
    """

    bad_token_errcode: int = 40014
    oversize_errcode: int = 40006
    unknown_media_code: str | None = "invalidParameter.msgParam.invalid"
    outsider_code: str | None = "resource.not.found"
    commit_size_code: str = "dentryUploadError"
    early_queries: int = 1
    entries_need_extension: bool = True


@dataclass(frozen=True, slots=True)
class Settings:
    """One sandbox. The defaults are a friendly DingTalk without limits.

    Attributes:
        client_id: the app's Client ID (AppKey).
        client_secret: the app's Client Secret.
        corp_id: the organisation, used by `oauth2/{corpId}/token` only.
        robot_code: default: client_id, as for every internal app.
        operator_union_id: unionId of the person whose rights upload big files.
        conversations: all groups of the organisation.
        users: userid → unionId of the people who may be written to.
        names: userid → name; who has none goes by the userid.
        token_seconds: how long an access token lives after it was last asked for.
        strict_tokens: True: a token works only on the host family that issued it. Whether DingTalk
            cares is unverified; both have been reported.
        webhooks: the custom robots of the groups.
        limits: with which the sandbox starts; a running one has `Sandbox.limit()`.
        ping_seconds: from one ping of a Stream connection to the next. Unverified [?].
        address_seconds: how long an address of the storage host lives (KB:0674).
        org_quota: bytes that all spaces of the drive may hold, or None.
        media: what can be uploaded.
        guesses: the unverified answers.
        allowed_hosts: names, beside localhost, this machine's name and IP addresses, under which the
            page may be opened.
    """

    client_id: str = "dingsandboxq7m2kfzdx"
    client_secret: str = "sandbox-VtX3rCq0mJ8eYw5hNkPbLs2uGdZf9aQi"  # noqa: S105 -- opens only the sandbox
    corp_id: str = "dingsandboxcorp5f2c9b"
    robot_code: str | None = None
    operator_union_id: str = "sandboxUnionOperatoriE"
    conversations: tuple[Conversation, ...] = CONVERSATIONS
    users: Mapping[str, str] = field(
        default_factory=lambda: MappingProxyType(
            {"manager1234": "sandboxUnionOperatoriE", "user2345": "sandboxUnionColleaguiE"}
        )
    )
    names: Mapping[str, str] = field(
        default_factory=lambda: MappingProxyType({"manager1234": "王经理", "user2345": "李工"})
    )
    token_seconds: int = 7200
    strict_tokens: bool = False
    webhooks: tuple[Webhook, ...] = WEBHOOKS
    limits: Limits = field(default_factory=Limits)
    ping_seconds: float = 30.0
    address_seconds: int = 900
    org_quota: int | None = None
    media: MediaRules = field(default_factory=MediaRules)
    guesses: Guesses = field(default_factory=Guesses)
    allowed_hosts: frozenset[str] = frozenset()
