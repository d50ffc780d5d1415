"""The part of cupy.ndarray that Upstroke uses. What is not here is an AttributeError."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ._device import (
    DEVICE_TO_HOST,
    HOST_TO_DEVICE,
    Memory,
    MemoryPointer,
    Stream,
    copy_async,
    get_current_stream,
    queue_of,
)


def poison(dtype: np.dtype) -> Any:
    """What memory holds that nobody has written: NaN, or a number nobody means."""
    if dtype.kind in "fc":
        return np.nan
    return {"b": True, "u": np.iinfo(np.uint8).max}.get(dtype.kind, np.iinfo(dtype).min + 3 if dtype.kind == "i" else 0)


class ndarray:
    __array_priority__ = 100
    __hash__ = None

    def __init__(self, shape: Any, dtype: Any = float, memptr: MemoryPointer | None = None, strides: Any = None,
                 order: str = "C") -> None:
        dtype = np.dtype(dtype)
        if dtype.kind not in "biufc":
            raise ValueError(f"Unsupported dtype {dtype}")
        shape = tuple(shape) if np.iterable(shape) else (int(shape),)
        size = int(np.prod(shape, dtype=np.int64)) * dtype.itemsize
        fresh = memptr is None
        memptr = memptr or MemoryPointer(Memory(size), 0)
        offset = memptr.ptr - memptr.mem.ptr
        host = np.ndarray(shape, dtype, memptr.mem.bytes.data, offset, strides, order)
        if fresh:
            host.fill(poison(dtype))
        self._setup(host, memptr.mem)

    def _setup(self, host: np.ndarray, memory: Memory) -> None:
        self._host, self._memory = host, memory
        self.dtype, self.shape, self.size, self.ndim = host.dtype, host.shape, host.size, host.ndim
        self.itemsize, self.nbytes, self.strides, self.flags = host.itemsize, host.nbytes, host.strides, host.flags

    def _view(self, host: np.ndarray) -> ndarray:
        array = ndarray.__new__(ndarray)
        array._setup(host, self._memory)
        return array

    @property
    def data(self) -> MemoryPointer:
        return MemoryPointer(self._memory, self._host.ctypes.data - self._memory.ptr if self.size else 0)

    def __array__(self, dtype: Any = None, copy: Any = None) -> np.ndarray:
        raise TypeError("Implicit conversion to a NumPy array is not allowed. Please use `.get()` to construct a NumPy "
                        "array explicitly.")

    def __len__(self) -> int:
        if not self.ndim:
            raise TypeError("len() of unsized object")
        return self.shape[0]

    def __repr__(self) -> str:
        return repr(self.get())

    # ---- views, and writing through them ----

    def view(self, dtype: Any = None) -> ndarray:
        return self._view(self._host.view() if dtype is None else self._host.view(dtype))

    def reshape(self, *shape: Any, order: str = "C") -> ndarray:
        host = self._host.reshape(*shape, order=order)
        return self._view(host) if np.shares_memory(host, self._host) or not self.size \
            else apply(lambda a: a.reshape(*shape, order=order), self)

    def ravel(self, order: str = "C") -> ndarray:
        return self.reshape(-1, order=order)

    @property
    def T(self) -> ndarray:
        return self._view(self._host.T)

    def __getitem__(self, index: Any) -> ndarray:
        parts = index if isinstance(index, tuple) else (index,)
        if all(isinstance(part, (int, np.integer, slice, type(None), type(Ellipsis))) for part in parts):
            return self._view(self._host[parts if Ellipsis in parts else (*parts, Ellipsis)])
        return apply(lambda a, *known: a[known], self, *parts)

    def __setitem__(self, index: Any, value: Any) -> None:
        parts = index if isinstance(index, tuple) else (index,)
        if isinstance(value, np.ndarray) and value.ndim:
            raise ValueError("non-scalar numpy.ndarray cannot be used for fill")
        if not isinstance(value, ndarray):
            value = np.asarray(value)[()]
        run(lambda a, v, *known: a.__setitem__(known, v), self, value, *parts)

    def fill(self, value: Any) -> None:
        self[...] = value

    # ---- to and from the host ----

    def get(self, stream: Stream | None = None, order: str = "C", out: np.ndarray | None = None,
            blocking: bool = True) -> np.ndarray:
        if out is None:
            out = np.empty(self.shape, self.dtype, order)
        elif self.dtype != out.dtype:
            raise TypeError(f"{out.dtype} array cannot be obtained from {self.dtype} array")
        elif self.shape != out.shape:
            raise ValueError(f"Shape mismatch. Expected shape: {self.shape}, actual shape: {out.shape}")
        stream = stream or get_current_stream()
        source = self if self._host.flags.forc else self.copy()
        if self.size:
            copy_async(out.ctypes.data, source.data.ptr, self.nbytes, DEVICE_TO_HOST, queue_of(stream))
        if blocking:
            stream.synchronize()
        return out

    def set(self, arr: np.ndarray, stream: Stream | None = None) -> None:
        if not isinstance(arr, np.ndarray):
            raise TypeError("Only numpy.ndarray can be set to cupy.ndarray")
        if self.dtype != arr.dtype:
            raise TypeError(f"{arr.dtype} array cannot be set to {self.dtype} array")
        if self.shape != arr.shape:
            raise ValueError(f"Shape mismatch. Old shape: {self.shape}, new shape: {arr.shape}")
        if not self._host.flags.c_contiguous:
            raise RuntimeError("Cannot set to non-contiguous array")
        if self.size:
            arr = np.ascontiguousarray(arr)
            copy_async(self.data.ptr, arr.ctypes.data, self.nbytes, HOST_TO_DEVICE, queue_of(stream))

    def item(self) -> Any:
        return self.get().item()

    def tolist(self) -> Any:
        return self.get().tolist()

    def __bool__(self) -> bool:
        return bool(self.get())

    def __int__(self) -> int:
        return int(self.get())

    def __float__(self) -> float:
        return float(self.get())

    # ---- arithmetic ----

    def copy(self, order: str = "C") -> ndarray:
        return apply(lambda a: a.copy(order), self)

    def astype(self, dtype: Any, copy: bool = True) -> ndarray:
        return apply(lambda a: a.astype(dtype), self) if copy or self.dtype != dtype else self


def _known(value: Any) -> Any:
    return value._host if isinstance(value, ndarray) else value


def run(function: Callable[..., Any], *operands: Any) -> None:
    """Queue a computation on the current stream."""
    queue_of(None).put(lambda: function(*map(_known, operands)))


def apply(function: Callable[..., Any], *operands: Any) -> ndarray:
    """Queue a computation with a result; which shape that has is found by computing with what is in memory now."""
    for operand in operands:
        if isinstance(operand, np.ndarray) and operand.ndim:
            raise TypeError("Unsupported type <class 'numpy.ndarray'>")
    with np.errstate(all="ignore"):
        model = np.asarray(function(*(np.zeros_like(_known(o)) if isinstance(o, ndarray) else o for o in operands)))
    result = ndarray(model.shape, model.dtype)

    def compute(out: np.ndarray, *known: Any) -> None:
        with np.errstate(all="ignore"):
            out[...] = function(*known)
    run(compute, result, *operands)
    return result


def _method(name: str) -> Callable[..., ndarray]:
    return lambda self, *others: apply(lambda a, *b: getattr(a, name)(*b), self, *others)


def _add_methods() -> None:
    unary = ("neg", "abs", "invert")
    binary = ("add", "sub", "mul", "truediv", "floordiv", "mod", "pow", "and", "or", "xor", "lshift", "rshift",
              "eq", "ne", "lt", "le", "gt", "ge")
    for name in (f"__{name}__" for name in (*unary, *binary, *(f"r{name}" for name in binary[:12]))):
        setattr(ndarray, name, _method(name))
    for name in (f"__i{name}__" for name in binary[:12]):
        def in_place(self: ndarray, other: Any, _name: str = name) -> ndarray:
            run(lambda a, b: getattr(a, _name)(b), self, other)
            return self
        setattr(ndarray, name, in_place)
    for name in ("sum", "min", "max", "any", "all", "dot"):
        setattr(ndarray, name, _method(name))


_add_methods()


# ---- making arrays ----

def empty(shape: Any, dtype: Any = float, order: str = "C") -> ndarray:
    return ndarray(shape, dtype, order=order)


def full(shape: Any, fill_value: Any, dtype: Any = None, order: str = "C") -> ndarray:
    array = ndarray(shape, np.asarray(fill_value).dtype if dtype is None else dtype, order=order)
    array.fill(fill_value)
    return array


def zeros(shape: Any, dtype: Any = float, order: str = "C") -> ndarray:
    return full(shape, 0, dtype, order)


def ones(shape: Any, dtype: Any = float, order: str = "C") -> ndarray:
    return full(shape, 1, dtype, order)


def empty_like(a: ndarray, dtype: Any = None) -> ndarray:
    return ndarray(a.shape, dtype or a.dtype)


def zeros_like(a: ndarray, dtype: Any = None) -> ndarray:
    return zeros(a.shape, dtype or a.dtype)


def array(obj: Any, dtype: Any = None, copy: bool = True, order: str = "K") -> ndarray:
    if isinstance(obj, ndarray):
        return obj.astype(dtype or obj.dtype, copy=copy)
    host = np.array(obj, dtype, order="C")
    made = ndarray(host.shape, host.dtype)
    made.set(host)
    return made


def asarray(a: Any, dtype: Any = None, order: str | None = None) -> ndarray:
    return array(a, dtype, copy=False)


def arange(*args: Any, dtype: Any = None) -> ndarray:
    return array(np.arange(*args, dtype=dtype))


def asnumpy(a: Any, stream: Stream | None = None, order: str = "C", out: np.ndarray | None = None, *,
            blocking: bool = True) -> np.ndarray:
    return a.get(stream, order, out, blocking) if isinstance(a, ndarray) else np.asarray(a, order=order)
