"""To import this is to warm the process up: a fork server gets ready by nothing but imports."""

import tempfile
from pathlib import Path

from tests.support.warm import warm_up

with tempfile.TemporaryDirectory() as folder:
    warm_up(Path(folder))
