from tests.crash.conftest import _quiet, tell

__all__ = ["_quiet", "tell"]
