"""`python -m watti`: the same as the command `watti`."""

import sys

from watti.cli import main

sys.exit(main())
