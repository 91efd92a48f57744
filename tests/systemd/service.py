"""The service on a booted machine: its configuration, its folders, and what reached the sandbox."""

from __future__ import annotations

import json
from collections import Counter
from typing import Final
from urllib.parse import quote

from dingwatch.sandbox.settings import Settings
from tests.support import eventually
from tests.systemd.machine import Machine

UNIT: Final = "dingwatch"
SANDBOX: Final = "http://127.0.0.1:8765"
CONFIG: Final = "/etc/dingwatch/config.yaml"
FOLDERS: Final = ("/srv/share/finance", "/home/share/projects", "/mnt/nas/scans", "/media/disk/inbox")
"""Where admins keep shares."""


class Installed:
    """The installed service."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self.account = Settings()
        self.conversation = ""

    def start_sandbox(self) -> None:
        """Start a sandbox, and wait until it answers."""
        self.machine.run("systemd-run", "--quiet", "--unit=sandbox", "dingwatch", "sandbox", "--port", "8765")
        eventually(lambda: self.machine.try_run("curl", "-fsS", f"{SANDBOX}/sandbox/conversations").stdout)
        listed = json.loads(self.machine.run("curl", "-fsS", f"{SANDBOX}/sandbox/conversations"))
        self.conversation = listed["conversations"][0]["id"]

    def configure(self, more: str = "", folders: tuple[str, ...] = FOLDERS) -> None:
        """Write the configuration and the secret, and make the folders."""
        for folder in FOLDERS:
            self.machine.run("install", "-d", "-m", "0755", folder)
        self.machine.write("/etc/dingwatch/client_secret", self.account.client_secret, "0600")
        lines = [
            f"dingtalk: {{client_id: {self.account.client_id}, api_url: '{SANDBOX}', oapi_url: '{SANDBOX}'}}",
            "pace: {per_api: null, per_conversation: null}",
            more,
            "folders:",
            *(
                f"  - {{path: {one}, conversation_id: '{self.conversation}', settle: 200ms}}"
                for one in folders
            ),
        ]
        self.machine.write(CONFIG, "\n".join(lines) + "\n")

    def start(self) -> None:
        """Start the service, which is ready when this returns."""
        self.machine.run("systemctl", "daemon-reload")
        self.machine.run("systemctl", "start", UNIT)

    def drop(self, path: str, content: str) -> None:
        """Put a file into a folder."""
        self.machine.run("sh", "-c", 'cat >"$0.part" && mv "$0.part" "$0"', path, stdin=content)

    def received(self) -> Counter[str]:
        """Return the names of the files in the conversation, and how often each came."""
        address = f"{SANDBOX}/sandbox/messages?limit=1000&conversation_id={quote(self.conversation)}"
        messages = json.loads(self.machine.run("curl", "-fsS", address))
        return Counter(one["file_name"] for one in messages if one["file_name"])

    def order_fault(self, **fault: object) -> None:
        """Have the sandbox do something out of the ordinary."""
        order = ("curl", "-fsS", "-H", "Content-Type: application/json", "-d", json.dumps(fault))
        self.machine.run(*order, f"{SANDBOX}/sandbox/faults")

    @property
    def pid(self) -> int:
        """The service's process."""
        return int(self.machine.show(UNIT, "MainPID"))

    @property
    def state(self) -> str:
        """What systemd says of the service: active, activating, failed and the like."""
        return self.machine.show(UNIT, "ActiveState")
