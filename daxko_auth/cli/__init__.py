"""
The command `daxko-auth`: one file a command, and what they share.
"""
