"""One file a command of ``uq-harness``: its arguments and what it prints.

The work lies in a room of its own and is imported when the command is called, so that ``--help`` stays quick.
"""
