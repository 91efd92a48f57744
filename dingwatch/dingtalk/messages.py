"""What the enterprise robot can say: templates of KB:0699, whose parameters travel as a JSON string."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True, slots=True)
class RobotMessage:
    """A template and its parameters; DingTalk takes at most 15,000 bytes of them (KB:0716)."""

    key: ClassVar[str]

    def parameters(self) -> Mapping[str, str]:
        """Return the template's parameters."""
        raise NotImplementedError

    def body(self) -> Mapping[str, object]:
        """Return the members that stand for the message in a request."""
        return {"msgKey": self.key, "msgParam": json.dumps(self.parameters(), ensure_ascii=False)}


@dataclass(frozen=True, slots=True)
class SampleFile(RobotMessage):
    """An uploaded file; `file_name` is what is shown, `file_type` its extension without a dot."""

    key = "sampleFile"
    media_id: str
    file_name: str
    file_type: str

    def parameters(self) -> Mapping[str, str]:
        """Return mediaId, fileName and fileType."""
        return {"mediaId": self.media_id, "fileName": self.file_name, "fileType": self.file_type}


@dataclass(frozen=True, slots=True)
class SampleMarkdown(RobotMessage):
    """Markdown; the title stands in the list of conversations, not in the message."""

    key = "sampleMarkdown"
    title: str
    text: str

    def parameters(self) -> Mapping[str, str]:
        """Return title and text."""
        return {"title": self.title, "text": self.text}


@dataclass(frozen=True, slots=True)
class SampleImage(RobotMessage):
    """A picture, shown inline: an address, or a media id as others use it in production (API sheet 3c)."""

    key = "sampleImageMsg"
    photo: str

    def parameters(self) -> Mapping[str, str]:
        """Return photoURL."""
        return {"photoURL": self.photo}
