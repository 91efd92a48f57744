"""dingwatch watches folders and sends each new file to a DingTalk conversation."""

# The build reads it here. To look it up with `importlib.metadata` would take `--version` half as long again.
__version__ = "0.1.0"
