"""Where a bench keeps its ports, control sockets, states and logs."""

import os
import stat
from pathlib import Path


def bench_dir(arg: Path | None) -> Path:
    """The folder that was asked for, else the service's, else one of this user's own, made if missing.

    A service has $STATE_DIRECTORY, which systemd made for it. A user has $XDG_RUNTIME_DIR/watti, or /tmp/watti-UID
    where there is no such folder to write in. OSError if somebody else made that first.
    """
    if arg is not None:
        return arg
    if "STATE_DIRECTORY" in os.environ:
        return Path(os.environ["STATE_DIRECTORY"])
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
