"""`python -m runtime.cli` is `meshc`."""

import sys

from runtime.cli.entry import main

sys.exit(main())
