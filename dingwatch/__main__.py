"""`python -m dingwatch` is the command `dingwatch`."""

from dingwatch.cli import main

main()
