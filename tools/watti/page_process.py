"""The live screen as a child of the bench: it has the terminal, and gives it back however it ends."""

import os
import subprocess
import sys
import termios
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from signal import SIG_IGN, SIGINT, signal

PATIENCE_S = 2.0
QUIT, INTERRUPTED = 0, 130
"""Exit codes of a screen that its user has ended."""
_NORMAL = (
    "\x1b[?1000l\x1b[?1003l\x1b[?1006l\x1b[?1015l\x1b[?1004l\x1b[?2004l\x1b[?2048l\x1b[<u\x1b[?7h\x1b[?1049l\x1b[?25h"
)
"""No mouse, focus, paste or size reports, ordinary keys, wrapped lines, the first screen, a cursor (xterm)."""


def can_show() -> bool:
    """Whether there is a terminal that is ours to read and write, and what draws on it is installed."""
    try:
        ours = os.tcgetpgrp(sys.stdin.fileno()) == os.getpgrp()
    except (OSError, ValueError, AttributeError):  # no terminal; closed; none at all
        return False
    return ours and sys.stdout.isatty() and find_spec("textual") is not None


class PageProcess:
    """The screen of the bench in a folder."""

    def __init__(self, folder: Path) -> None:
        """Raises OSError."""
        self.log = folder / "log" / "screen.log"
        self._attributes = termios.tcgetattr(sys.stdin)
        sys.stdout.flush()
        arguments = [sys.executable, "-m", "watti.page", "--dir", str(folder)]
        before = signal(SIGINT, SIG_IGN)  # inherited: a Ctrl-C before it reads keys is the bench's alone
        self._process = subprocess.Popen(arguments, stderr=sys.stdout.fileno())  # it draws on its stderr
        signal(SIGINT, before)

    def ended(self) -> int | None:
        """Its exit code when it has ended: 0 = the user quits, 130 = by Ctrl-C, any other = it failed. The terminal
        is as it was."""
        code = self._process.poll()
        if code not in (None, QUIT, INTERRUPTED):
            self._tidy()
        return code

    def close(self) -> None:
        """End it, if it has not ended."""
        self._process.terminate()
        try:
            self._process.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self.ended()

    def _tidy(self) -> None:
        """Do for the terminal what the screen had no time to do; nothing changes where it had."""
        with suppress(OSError, termios.error):  # the terminal may be gone
            termios.tcsetattr(sys.stdin, termios.TCSADRAIN, self._attributes)
            print(_NORMAL, end="", flush=True)
