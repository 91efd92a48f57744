#!/opt/dingwatch/bin/python -I
"""Ask the service for its health: exit code 0 while a test event passes through every part of it, else 1.

A failed file is no reason to restart a container: `dingwatch status --check` is for monitors.
"""

import os
import sys
from http import HTTPStatus
from pathlib import Path

from dingwatch.host.control_socket import NotRunningError, call

try:
    status, body = call(Path(os.environ.get("STATE_DIRECTORY", "/state")), "GET", "/healthz", timeout=10)
except (NotRunningError, OSError) as error:
    sys.exit(f"not running: {error}")
if status != HTTPStatus.OK:
    sys.exit(f"unhealthy: {status} {body.decode(errors='replace').strip()}")
