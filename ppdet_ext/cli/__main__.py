"""Lets 'python -m ppdet_ext.cli' do what the command ppdet-ext does."""

import sys

from . import main

if __name__ == "__main__":
    sys.exit(main())
