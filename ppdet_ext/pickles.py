"""What files with pickles in them look like from outside, and what a broken one may raise."""

import pickle

# torch since 1.6, and NumPy's .npz.
ZIP_START = b"PK\x03\x04"
# What torch wrote before its version 1.6 starts so: a pickled number of its own.
OLD_TORCH_START = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."
BROKEN = (
    ValueError,
    EOFError,
    KeyError,
    IndexError,
    TypeError,
    AttributeError,
    ImportError,
    OverflowError,
    MemoryError,
    RecursionError,
    pickle.UnpicklingError,
)
