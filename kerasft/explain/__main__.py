"""`python -m kerasft.explain`: see `program.py`."""

import sys

from kerasft.explain.program import main

sys.exit(main())
