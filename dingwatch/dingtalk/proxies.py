"""Which proxy stands between this machine and an address."""

from __future__ import annotations

from urllib.parse import urlsplit

import requests


def proxy_of(url: str) -> str | None:
    """Return `host:port` of the proxy that the environment names for an address, without its credentials.

    None where requests go straight; `$NO_PROXY` counts, as it does for every call.
    """
    proxy = requests.utils.select_proxy(url, requests.utils.get_environ_proxies(url))
    if not proxy:
        return None
    return urlsplit(proxy if "//" in proxy else f"//{proxy}").netloc.rpartition("@")[2]
