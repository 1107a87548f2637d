"""Lets `python -m deploy.local` stand for the command `plaudit`."""

import sys

from deploy.local.main import main

sys.exit(main())
