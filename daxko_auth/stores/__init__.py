"""
Where tokens are kept: in this process, in files, in Redis; and the encryption that the last two share.
"""
