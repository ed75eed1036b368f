"""Before any test imports paddle: the import of ppdet_ext keeps zlib alive beside it."""

import ppdet_ext  # noqa: F401
