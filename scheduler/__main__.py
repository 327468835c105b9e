"""`python -m scheduler` is the command `physiopost`."""

from scheduler.cli import main

main()
