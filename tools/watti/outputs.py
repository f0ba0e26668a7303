"""Files that a command writes: whole or not at all."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from firmware.config import ConfigError


@contextmanager
def whole_file(path: Path) -> Iterator[TextIO]:
    """A new text file that takes the place of `path` when the block ends well; else nothing is left of it.

    A device or a pipe is written to as it is. Raises ConfigError where the file can't be made, before the block runs.
    """
    if Path("/dev") in path.parents or path.is_fifo():
        with _opened(path, path, "w") as device:
            yield device
        return
    target = Path(os.path.realpath(path))  # a link stays a link
    part = target.with_name(f".{target.name}.{os.getpid()}.part")
    file = _opened(part, path, "x")
    try:
        with file:
            yield file
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)


def _opened(path: Path, asked: Path, mode: str) -> TextIO:
    try:
        if asked.is_dir():
            raise IsADirectoryError(0, "it is a folder")
        if asked.exists() and not os.access(asked, os.W_OK):
            raise PermissionError(0, "Permission denied")
        return path.open(mode, newline="", encoding="utf-8")  # type: ignore[return-value]  # text modes only
    except OSError as error:
        raise ConfigError([f"{asked}: can't be written: {error.strerror}"]) from None
