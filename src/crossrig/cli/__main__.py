"""`python -m crossrig.cli`."""

import sys

from crossrig.cli import main

sys.exit(main())
