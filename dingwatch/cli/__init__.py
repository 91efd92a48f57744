"""The commands: what is typed, what is printed, and the exit codes."""

from dingwatch.cli.app import main

__all__ = ["main"]
