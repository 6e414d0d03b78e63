"""
The one logger: `daxko_auth`. Silent until the program configures logging, as libraries are.
"""

import logging
from typing import Final

log: Final = logging.getLogger("daxko_auth")
log.addHandler(logging.NullHandler())
