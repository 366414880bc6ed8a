"""``python -m proxy``: the same as the command ``headgate``."""

import sys

from proxy.cli import main

sys.exit(main())
