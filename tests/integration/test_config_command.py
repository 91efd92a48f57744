"""`dingwatch config`: what is in force, whence, and the schema."""

import json
from pathlib import Path
from typing import Any

import pytest

from dingwatch.sandbox import Sandbox
from tests.integration.conftest import Machine

TEXT = """\
dingtalk:
  client_id: dingabc
  client_secret: s3cr3t-of-the-app
  robot_code: null
ledger: null
x-common: &common {settle: 7s}
folder_defaults:
  <<: *common
  user_ids: [boss]
folders:
  - path: HERE/in
    webhook: https://oapi.dingtalk.com/robot/send?access_token=t0k3n-of-the-robot
    webhook_secret: SECofTheRobot
    send_as: notice
  - path: HERE/share/*
    recipients: people.csv
"""


def show(machine: Machine) -> dict[tuple[str, str | None], dict[str, Any]]:
    """Return what `config show --json` says, by key and folder."""
    told = json.loads(machine.do("config", "show", "--json").stdout)
    assert told["file"] == str(machine.path)
    return {(one["key"], one["folder"]): one for one in told["settings"]}


def test_each_value_is_shown_with_its_origin(machine: Machine, tmp_path: Path) -> None:
    """Whether it stands in the file, in the defaults, in a table or nowhere."""
    (tmp_path / "share" / "财务").mkdir(parents=True)
    (tmp_path / "people.csv").write_text("财务,cidA\n", encoding="utf-8")
    machine.path.write_text(TEXT.replace("HERE", str(tmp_path)), encoding="utf-8")
    found = show(machine)
    origins = {key: (one["value"], one["origin"], one["line"]) for key, one in found.items()}
    assert origins["dingtalk.client_id", None] == ("dingabc", "file", 2)
    assert origins["dingtalk.client_secret", None] == ("***", "file", 3)
    assert origins["keep", None] == ("400d", "default", None)
    assert origins["folders[0].settle", "in"] == ("7s", "folder_defaults", 6)
    assert found["folders[0].settle", "in"]["source"] == "x-common.settle"
    assert origins["folders[0].user_ids", "in"] == (["boss"], "folder_defaults", 9)
    assert origins["folders[0].name", "in"] == ("in", "directory", None)
    assert origins["folders[0].webhook", "in"][0].endswith("access_token=***")
    assert origins["folders[1].path", "财务"] == (f"{tmp_path}/share/财务", "directory", 15)
    assert origins["folders[1].recipients[]", "财务"] == (["cidA"], "table", None)
    assert origins["folders[1].user_ids", "财务"] == ([], "default", None)
    text = machine.do("config", "show").stdout
    assert "folders[0].settle (in): 7s  # folder_defaults, line 6" in text
    assert "t0k3n" not in text + str(found)
    assert "SECof" not in text + str(found)


def test_a_secret_of_the_environment_is_named(machine: Machine) -> None:
    """Where the secret comes from is no secret."""
    del machine.settings["dingtalk"]["client_secret"]
    machine.write()
    done = machine.call("config", "show", DINGWATCH_CLIENT_SECRET="s3cr3t-of-the-app")
    assert "dingtalk.client_secret: ***  # environment: $DINGWATCH_CLIENT_SECRET" in done.stdout


@pytest.mark.parametrize("address", ["me:pw0rd@db/d", "db/d?user=me&password=pw0rd&sslmode=disable"])
def test_the_password_of_the_database_is_not_shown(machine: Machine, address: str) -> None:
    """The rest of the address is."""
    machine.settings["ledger"] = f"postgresql+psycopg://{address}"
    machine.write()
    for words in (("config", "show"), ("config", "show", "--json")):
        printed = machine.call(*words).stdout
        assert ("postgresql+psycopg://" in printed, "db/d" in printed, "pw0rd" in printed) == (
            True,
            True,
            False,
        )


def test_a_bad_config_is_told(machine: Machine) -> None:
    """There is nothing in force then; the schema is printed all the same."""
    machine.set_folder(settle=5)
    done = machine.do("config", "show")
    assert (done.returncode, "folders[0].settle" in done.stderr) == (78, True)
    assert machine.do("config", "schema").returncode == 0


def test_the_schema_describes_each_key(machine: Machine, sandbox: Sandbox) -> None:
    """An editor shows what a key is for."""
    schema = json.loads(machine.do("config", "schema").stdout)
    folder = schema["properties"]["folders"]["items"]["properties"]
    assert folder["settle"]["description"] == "how long a file must be unchanged to be complete"
    assert sandbox.client_secret not in json.dumps(schema)
