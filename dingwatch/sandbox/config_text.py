"""The YAML that connects a dingwatch config with a sandbox."""

import json

from dingwatch.sandbox.server import Sandbox


def config_block(sandbox: Sandbox) -> str:
    """The block `dingtalk:` with every key, ending in a line break."""
    settings = sandbox.settings
    values: dict[str, str | int | None] = {
        "client_id": sandbox.client_id,
        "client_secret": sandbox.client_secret,
        "robot_code": sandbox.robot_code,
        "operator_union_id": settings.operator_union_id,
        "api_url": sandbox.url,
        "oapi_url": sandbox.url,
        "monthly_calls": settings.limits.monthly_calls,
    }
    # A JSON scalar is a YAML scalar; strings are quoted, so that no secret can read as something else.
    lines = (f"  {key}: {json.dumps(value, ensure_ascii=False)}\n" for key, value in values.items())
    return "dingtalk:\n" + "".join(lines)


def conversation_lines(sandbox: Sandbox) -> tuple[str, ...]:
    """One line `conversation_id: cid…` for every conversation that the robot may send to."""
    return tuple(f"conversation_id: {each.id}" for each in sandbox.conversations if each.robot_inside)
