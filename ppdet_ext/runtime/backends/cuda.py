"""The few calls of the CUDA runtime that an engine on a GPU needs, over NVIDIA's cuda-python."""

import numpy as np

try:
    from cuda.bindings import runtime as cudart
except ImportError:  # cuda-python before 12.8
    from cuda import cudart


def call(function, *arguments):
    """Calls a function of the CUDA runtime and returns what it returns besides its status.

    Raises:
        RuntimeError: the status is an error; the text is CUDA's.
    """
    status, *results = function(*arguments)
    if status != cudart.cudaError_t.cudaSuccess:
        raise RuntimeError(f"{function.__name__}: {status.name}")
    return results[0] if len(results) == 1 else results


def device_name(number=0):
    """Name and compute capability of a GPU, 'NVIDIA A10 8.6': what an engine is built for.

    Raises:
        RuntimeError: there is no such GPU, or no driver.
    """
    properties = call(cudart.cudaGetDeviceProperties, number)
    name = properties.name
    name = name.decode() if isinstance(name, bytes) else name
    return f"{name.rstrip(chr(0))} {properties.major}.{properties.minor}"


class Stream:
    """A CUDA stream; `handle` is its number."""

    def __init__(self):
        self._stream = call(cudart.cudaStreamCreate)
        self.handle = int(self._stream)

    def wait(self):
        """Returns once all that was put into the stream is done."""
        call(cudart.cudaStreamSynchronize, self._stream)

    def copy_in(self, buffer, array):
        """Starts to copy a contiguous array to the GPU."""
        kind = cudart.cudaMemcpyKind.cudaMemcpyHostToDevice
        call(cudart.cudaMemcpyAsync, buffer.address, array.ctypes.data, array.nbytes, kind, self._stream)

    def copy_out(self, array, buffer):
        """Starts to copy from the GPU into a contiguous array."""
        kind = cudart.cudaMemcpyKind.cudaMemcpyDeviceToHost
        call(cudart.cudaMemcpyAsync, array.ctypes.data, buffer.address, array.nbytes, kind, self._stream)


class Buffer:
    """Memory of the GPU that grows when asked for more, and goes back with the object."""

    def __init__(self):
        self.address = self._size = 0

    def reserve(self, shape, dtype):
        """Has room for an array of `shape` and `dtype` afterwards; returns the address."""
        size = int(np.prod(shape)) * np.dtype(dtype).itemsize
        if size > self._size:
            self.free()
            self.address = int(call(cudart.cudaMalloc, size))
            self._size = size
        return self.address

    def free(self):
        """Gives the memory back."""
        if self.address:
            call(cudart.cudaFree, self.address)
        self.address = self._size = 0
