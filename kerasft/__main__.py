"""`python -m kerasft COMMAND ...`."""

import sys

from kerasft.cli import main

if __name__ == "__main__":
    sys.exit(main())
