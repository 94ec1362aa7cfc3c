"""`python -m tfvis_jax` is the `tfvis` command."""

import sys

from tfvis_jax.cli import main

if __name__ == "__main__":
    sys.exit(main())
