"""Where a bench keeps its ports, control sockets, states and logs."""

import os
import stat
from pathlib import Path


def bench_dir(arg: Path | None) -> Path:
    """The folder that was asked for, else one of this user's own, made if missing.

    That is $XDG_RUNTIME_DIR/watti, or /tmp/watti-UID where there is no such folder to write in. OSError
    if somebody else made it first.
    """
    if arg is not None:
        return arg
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    if runtime and os.access(runtime, os.W_OK | os.X_OK):
        folder = Path(runtime, "watti")
    else:
        folder = Path(f"/tmp/watti-{os.getuid()}")
    folder.mkdir(mode=0o700, exist_ok=True)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid():
        raise OSError(f"{folder} is not a folder of this user: remove it, or give --dir")
    return folder
