"""Spaces of the drive: made once per scene, asked for by id (KB:0652)."""

from dingwatch.sandbox.answers import Family, Json
from dingwatch.sandbox.drive_calls import (
    number_of,
    operator,
    option_of,
    param_error,
    space_for,
    space_json,
)
from dingwatch.sandbox.gateway import Api, Call
from dingwatch.sandbox.model import Space

_FREE_QUOTA = 100 * 10**9


async def add(call: Call) -> Json:
    """POST /v1.0/storage/spaces?unionId= {option} (KB:0652). The same scene and sceneId: the same space."""
    union_id = operator(call)
    option = option_of(call)
    owner_type = option.get("ownerType", "USER")
    if owner_type not in ("USER", "APP"):
        raise param_error("ownerType")
    wanted = Space(
        id="",
        name=_text(option, "name", ""),
        scene=_text(option, "scene", "default"),
        scene_id=_text(option, "sceneId", "0"),
        owner_type=str(owner_type),
        owner=union_id,
        quota=number_of(option, "quota"),
        created_at=call.now,
    )
    return {"space": space_json(call, call.world.drive.add_space(wanted))}


async def get(call: Call) -> Json:
    """GET /v1.0/storage/spaces/{spaceId}?unionId= (SDK storage_1_0 get_space)."""
    return {"space": space_json(call, space_for(call, operator(call)))}


async def organisation(call: Call) -> Json:
    """GET /v1.0/storage/orgs/{corpId}?unionId= (KB:0650). What another corpId gets is unverified [?].

    An organisation without a limit of its own has the 100 GB of a free one.
    """
    operator(call)
    corp_id = call.request.match_info["corp_id"]
    if corp_id != call.world.settings.corp_id:
        raise param_error("corpId")
    drive, quota = call.world.drive, call.world.settings.org_quota
    used = sum(drive.used(space.id) for space in drive.spaces())
    room = {"max": _FREE_QUOTA if quota is None else quota, "used": used, "type": "PRIVATE"}
    partition = {"partitionType": "PUBLIC_OSS_PARTITION", "quota": room}
    return {"org": {"corpId": corp_id, "partitions": [partition]}}


def _text(option: dict[str, object], name: str, default: str) -> str:
    value = option.get(name)
    if value is None:
        return default
    if not isinstance(value, str):
        raise param_error(name)
    return value


APIS = (
    Api("storage/spaces", Family.NEW, "POST", "/v1.0/storage/spaces", add, scope="Storage.Space.Write"),
    Api(
        "storage/spaces/get",
        Family.NEW,
        "GET",
        "/v1.0/storage/spaces/{space_id}",
        get,
        scope="Storage.Space.Read",
    ),
    Api(
        "storage/orgs",
        Family.NEW,
        "GET",
        "/v1.0/storage/orgs/{corp_id}",
        organisation,
        scope="Storage.Org.Read",
    ),
)
