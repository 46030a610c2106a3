"""`python -m kerasft.compress` is `kerasft compress`."""

import sys

from kerasft.compress.program import main

sys.exit(main())
