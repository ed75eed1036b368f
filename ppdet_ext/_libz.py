"""Gives the system's libz its own functions back after `import paddle` 2.6 took them.

libpaddle.so of paddlepaddle 2.6 exports a zlib of its own and needs libz.so.1 too. When libpaddle is the
first to load libz, the dynamic linker searches libpaddle before libz, so libz's calls to itself
(`inflateInit2_` calling `inflateReset2`) land in the other zlib, whose structures differ: a segmentation
fault in `zlib.decompress`, in writing a PNG with OpenCV or Pillow, in every library that uses libz. `repair`
points those calls back at libz.

Linux on x86-64 only, where the wheel in question exists. ELF names as in elf(5); numbers from <elf.h>.
"""

from __future__ import annotations

import ctypes
import mmap
import os
from typing import NamedTuple

PT_LOAD, PT_DYNAMIC, PT_GNU_RELRO = 1, 2, 0x6474E552
DT_PLTRELSZ, DT_SYMTAB, DT_RELA, DT_RELASZ, DT_JMPREL = 2, 6, 7, 8, 23
R_X86_64_GLOB_DAT, R_X86_64_JUMP_SLOT = 6, 7
STT_FUNC = 2
PROT_READ, PROT_WRITE = 1, 2


class _ProgramHeader(ctypes.Structure):
    _fields_ = [
        ("type", ctypes.c_uint32),
        ("flags", ctypes.c_uint32),
        ("offset", ctypes.c_uint64),
        ("vaddr", ctypes.c_uint64),
        ("paddr", ctypes.c_uint64),
        ("filesz", ctypes.c_uint64),
        ("memsz", ctypes.c_uint64),
        ("align", ctypes.c_uint64),
    ]


class _ObjectInfo(ctypes.Structure):
    _fields_ = [
        ("base", ctypes.c_uint64),
        ("name", ctypes.c_char_p),
        ("headers", ctypes.POINTER(_ProgramHeader)),
        ("count", ctypes.c_uint16),
    ]


class _Dynamic(ctypes.Structure):
    _fields_ = [("tag", ctypes.c_int64), ("value", ctypes.c_uint64)]


class _Relocation(ctypes.Structure):
    _fields_ = [("offset", ctypes.c_uint64), ("info", ctypes.c_uint64), ("addend", ctypes.c_int64)]


class _Symbol(ctypes.Structure):
    _fields_ = [
        ("name", ctypes.c_uint32),
        ("info", ctypes.c_uint8),
        ("other", ctypes.c_uint8),
        ("section", ctypes.c_uint16),
        ("value", ctypes.c_uint64),
        ("size", ctypes.c_uint64),
    ]


class _Library(NamedTuple):
    name: str  # file name without its folder
    base: int
    segments: list[tuple[int, int, int]]  # (type, first address, size)

    def ranges(self, kind: int) -> list[tuple[int, int]]:
        return [(start, start + size) for type_, start, size in self.segments if type_ == kind]


def _loaded_libraries(libc: ctypes.CDLL) -> list[_Library]:
    found: list[_Library] = []

    @ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(_ObjectInfo), ctypes.c_size_t, ctypes.c_void_p)
    def note(info, _size, _data):
        entry = info.contents
        headers = [entry.headers[i] for i in range(entry.count)]
        segments = [(header.type, entry.base + header.vaddr, header.memsz) for header in headers]
        found.append(_Library(os.path.basename(os.fsdecode(entry.name or b"")), entry.base, segments))
        return 0

    libc.dl_iterate_phdr(note, None)
    return found


def _own_functions(library: _Library):
    """Yields (address of a slot, what it should hold) for each call of a library to its own exports."""
    start, stop = library.ranges(PT_DYNAMIC)[0]
    entries = (_Dynamic * ((stop - start) // ctypes.sizeof(_Dynamic))).from_address(start)
    dynamic = {entry.tag: entry.value for entry in entries}

    def address(tag: int) -> int:  # glibc stores these relocated, the file holds them relative
        value = dynamic[tag]
        return value if value >= library.base else value + library.base

    symbols = address(DT_SYMTAB)
    for table, size in ((DT_JMPREL, DT_PLTRELSZ), (DT_RELA, DT_RELASZ)):
        if table not in dynamic:
            continue
        count = dynamic[size] // ctypes.sizeof(_Relocation)
        for relocation in (_Relocation * count).from_address(address(table)):
            if relocation.info & 0xFFFFFFFF not in (R_X86_64_GLOB_DAT, R_X86_64_JUMP_SLOT):
                continue
            index = relocation.info >> 32
            symbol = _Symbol.from_address(symbols + index * ctypes.sizeof(_Symbol))
            if symbol.section and symbol.info & 0xF == STT_FUNC:
                yield library.base + relocation.offset, library.base + symbol.value


def _write(libc: ctypes.CDLL, slot: int, value: int, read_only: bool) -> None:
    page = ctypes.c_void_p(slot - slot % mmap.PAGESIZE)
    size = ctypes.c_size_t(mmap.PAGESIZE)
    if read_only and libc.mprotect(page, size, PROT_READ | PROT_WRITE):
        raise OSError(ctypes.get_errno(), "mprotect refused to open libz's table of functions")
    ctypes.c_uint64.from_address(slot).value = value
    if read_only:
        libc.mprotect(page, size, PROT_READ)


def repair() -> int:
    """Points the calls of libz.so.1 that land in libpaddle.so back at libz itself.

    Returns how many there were: 0 when libz was loaded before libpaddle, or when libpaddle (3.x) exports no
    zlib. Raises OSError when the system does not let a page be written.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    libraries = _loaded_libraries(libc)
    foreign = [r for lib in libraries if lib.name == "libpaddle.so" for r in lib.ranges(PT_LOAD)]
    repaired = 0
    for library in libraries:
        if not library.name.startswith("libz.so"):
            continue
        sealed = library.ranges(PT_GNU_RELRO)
        for slot, own in _own_functions(library):
            target = ctypes.c_uint64.from_address(slot).value
            if any(first <= target < last for first, last in foreign):
                _write(libc, slot, own, any(first <= slot < last for first, last in sealed))
                repaired += 1
    return repaired
