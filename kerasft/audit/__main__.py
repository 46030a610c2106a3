"""`python -m kerasft.audit`: see `program.py`."""

import sys

from kerasft.audit.program import main

sys.exit(main())
