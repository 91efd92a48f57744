"""Addresses of the storage host, which here is a path of the same port."""

from dingwatch.sandbox.answers import Json
from dingwatch.sandbox.gateway import Call


def signed_address(call: Call, method: str, path: str) -> Json:
    """A headerSignatureInfo: where one request may be made, with which headers, for how long (KB:0674)."""
    signer = call.world.signer
    url = f"{call.request.scheme}://{call.request.host}{path}"
    return {
        "resourceUrls": [url],
        "internalResourceUrls": [],
        "headers": signer.headers(method, path, call.now),
        "expirationSeconds": signer.seconds,
        "region": "ZHANGJIAKOU",
    }
