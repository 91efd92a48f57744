"""Whose calls are made."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Account:
    """An app of an organisation, and where DingTalk is; addresses without a slash at their end.

    For an app of one's own organisation the robot code is the client id (KB:0716).
    """

    client_id: str
    client_secret: str = field(repr=False)
    robot_code: str
    api_url: str = "https://api.dingtalk.com"
    oapi_url: str = "https://oapi.dingtalk.com"
