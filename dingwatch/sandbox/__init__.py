"""A faithful local stand-in for DingTalk, with a chat page, for tests, the demo and the curious.

It imports nothing else of dingwatch: what the client and the stand-in both know about DingTalk is written
twice, so that a misreading on one side does not agree with itself on the other.
"""

from dingwatch.sandbox.config_text import config_block, conversation_lines
from dingwatch.sandbox.faults import Fault, FaultKind
from dingwatch.sandbox.limits import Limits
from dingwatch.sandbox.model import Conversation, Entry, Message, Space, Upload
from dingwatch.sandbox.people import Said
from dingwatch.sandbox.server import Sandbox
from dingwatch.sandbox.settings import Guesses, MediaRules, Settings, Webhook
from dingwatch.sandbox.stream import Ack

__all__ = [
    "Ack",
    "Conversation",
    "Entry",
    "Fault",
    "FaultKind",
    "Guesses",
    "Limits",
    "MediaRules",
    "Message",
    "Said",
    "Sandbox",
    "Settings",
    "Space",
    "Upload",
    "Webhook",
    "config_block",
    "conversation_lines",
]
