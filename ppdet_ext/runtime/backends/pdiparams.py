"""The format of `.pdiparams`: one tensor behind the other, without a count or a checksum.

Paddle Inference loads a cut file without a word and computes with what it finds in memory; hence the check
here. A tensor is: uint32 version; uint64 count of LoD levels, each a uint64 size and so many bytes; uint32
version; int32 size of a protobuf message TensorDesc (field 1: data type, field 2: dimensions); the values.
(Paddle 2.6 and 3: paddle/fluid/framework/lod_tensor.cc, tensor_util.cc, SerializeToStream.)
"""

import struct

# Bytes a value, by VarType.Type of framework.proto
ITEM_SIZES = {0: 1, 1: 2, 2: 4, 3: 8, 4: 2, 5: 4, 6: 8, 19: 8, 20: 1, 21: 1, 22: 2, 23: 8, 24: 16}


def check_weights(path):
    """Walk over all tensors of a file, reading only their heads.

    Args:
        path (Path): the `.pdiparams` file.

    Raises:
        ValueError: the file is empty, does not end where its last tensor ends, or is of another format.
    """
    size = path.stat().st_size
    at = 0
    try:
        with open(path, "rb") as file:
            while at < size:
                file.seek(at)
                at = file.tell() + _tensor_size(file)
    except (struct.error, KeyError, IndexError):
        at = -1
    if at != size or size == 0:
        raise ValueError(
            f"{path}: is empty, truncated or no Paddle weights ({size} bytes); copy or export it again"
        )


def _tensor_size(file):
    """Size in bytes of the tensor that begins where `file` stands."""
    start = file.tell()
    _, levels = struct.unpack("<IQ", file.read(12))
    if levels > 8:  # no such tensor; keeps nonsense from being walked for long
        raise struct.error
    for _ in range(levels):
        file.seek(*struct.unpack("<Q", file.read(8)), 1)
    _, length = struct.unpack("<Ii", file.read(8))
    description = file.read(length) if 0 <= length < 1024 else b""
    if len(description) != length:
        raise struct.error
    count, item_size, at = 1, None, 0
    while at < length:
        tag, at = _varint(description, at)
        if tag == 0x12:  # the dimensions packed: their size, then each
            end, at = _varint(description, at)
            end += at
            while at < end:
                value, at = _varint(description, at)
                count *= value
            continue
        value, at = _varint(description, at)
        if tag == 0x08:
            item_size = ITEM_SIZES[value]
        elif tag == 0x10:
            count *= value
    if item_size is None:
        raise struct.error
    return file.tell() - start + count * item_size


def _varint(data, at):
    """A protobuf varint in `data` at `at`: its value, and where the next one begins."""
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 0x7F) << shift
        shift, at = shift + 7, at + 1
        if byte < 0x80:
            return value, at
