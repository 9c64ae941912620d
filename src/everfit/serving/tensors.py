"""Tensors of the Open Inference Protocol (V2), in JSON or in its binary form, to lists of values and back."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from everfit.errors import RequestError

_DTYPES = {
    "BOOL": "<?", "UINT8": "<u1", "UINT16": "<u2", "UINT32": "<u4", "UINT64": "<u8",
    "INT8": "<i1", "INT16": "<i2", "INT32": "<i4", "INT64": "<i8", "FP16": "<f2", "FP32": "<f4", "FP64": "<f8",
}  # fmt: skip
BINARY_SIZE = "binary_data_size"


@dataclass(frozen=True, slots=True)
class Tensor:
    """A named tensor: `values` are its elements in row-major order, None where a number is NaN."""

    name: str
    datatype: str
    shape: tuple[int, ...]
    values: list[Any]


def read(inputs: Sequence[Any], binary: bytes) -> Iterator[Tensor]:
    """The tensors of a request; those in binary form lie one after the other in `binary`. Raises RequestError."""
    place = 0
    for number, given in enumerate(inputs):
        name = given.get("name") if isinstance(given, dict) else None
        shape = given.get("shape") if isinstance(given, dict) else None
        if not isinstance(name, str) or not isinstance(shape, list) or not all(_is_length(n) for n in shape):
            raise _wrong(f"inputs[{number}]", "needs a name, a datatype, a shape of whole numbers, and data")
        datatype = given.get("datatype")
        size = given.get("parameters", {}).get(BINARY_SIZE) if isinstance(given.get("parameters", {}), dict) else None
        if size is None:
            values = list(_flat(given.get("data")))
        elif not _is_length(size) or place + size > len(binary):
            raise _wrong(name, f"{BINARY_SIZE} goes beyond the end of the body")
        else:
            values = of_bytes(name, datatype, binary[place : place + size])
            place += size
        yield tensor(name, str(datatype), shape, values)


def tensor(name: str, datatype: str, shape: Sequence[int], values: Sequence[Any]) -> Tensor:
    """A tensor of a request, NaN as None. Raises RequestError where the values do not fill the shape."""
    if len(values) != prod(shape):
        raise _wrong(name, f"holds {len(values)} values, and its shape is {list(shape)}")
    return Tensor(name, datatype, tuple(shape), [None if v != v else v for v in values])


def shown(tensor: Tensor, binary: bool) -> tuple[dict[str, Any], bytes]:
    """The tensor as an answer has it, and what of it follows in binary form."""
    head: dict[str, Any] = {"name": tensor.name, "datatype": tensor.datatype, "shape": list(tensor.shape)}
    if not binary:
        return {**head, "data": tensor.values}, b""
    data = to_bytes(tensor)
    return {**head, "parameters": {BINARY_SIZE: len(data)}}, data


def to_bytes(tensor: Tensor) -> bytes:
    """The elements in binary form: numbers one after the other, each text behind its length."""
    if tensor.datatype == "BYTES":
        parts = [value.encode() for value in tensor.values]
        return b"".join(len(part).to_bytes(4, "little") + part for part in parts)
    return np.array(tensor.values, _DTYPES[tensor.datatype]).tobytes()


def of_bytes(name: str, datatype: object, data: bytes) -> list[Any]:
    """Elements from their binary form. Raises RequestError."""
    if datatype == "BYTES":
        return list(_texts(name, data))
    if datatype not in _DTYPES:
        raise _wrong(name, f"the datatype {str(datatype)[:20]!r} is not one of BYTES, {', '.join(_DTYPES)}")
    dtype = np.dtype(_DTYPES[str(datatype)])
    if len(data) % dtype.itemsize:
        raise _wrong(name, f"{len(data)} bytes are no whole number of {datatype}")
    values: list[Any] = np.frombuffer(data, dtype).tolist()
    return values


def _texts(name: str, data: bytes) -> Iterator[str]:
    place = 0
    while place < len(data):
        length = int.from_bytes(data[place : place + 4], "little")
        part = data[place + 4 : place + 4 + length]
        if len(part) != length:
            raise _wrong(name, "a text goes beyond the end of the tensor")
        yield text(name, part)
        place += 4 + length


def text(name: str, data: bytes) -> str:
    """An element of BYTES. Raises RequestError for what is no UTF-8."""
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise _wrong(name, "holds bytes that are no UTF-8 text") from error


def _flat(data: object) -> Iterator[object]:
    if not isinstance(data, list):
        yield data
        return
    for inner in data:
        yield from _flat(inner)


def _is_length(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _wrong(where: str, what: str) -> RequestError:
    return RequestError(f"{where}: {what}", where=where, fix="see the Open Inference Protocol, version 2")


def rows(tensors: Sequence[Tensor], required: Sequence[str]) -> list[Mapping[str, object]]:
    """One row an element of the first dimension: a tensor a column, of shape (rows,) or (rows, 1); or one alone of
    shape (rows, columns) whose columns are the `required` ones in their order. Raises RequestError."""
    lengths = {tensor.shape[0] if tensor.shape else 1 for tensor in tensors}
    if len(lengths) != 1 or lengths == {0}:
        raise _wrong("inputs", "every tensor needs the same number of rows, at least one")
    (count,) = lengths
    if len(tensors) == 1 and len(tensors[0].values) == count * len(required) > count:
        values = tensors[0].values
        return [
            dict(zip(required, values[i : i + len(required)], strict=True))
            for i in range(0, len(values), len(required))
        ]
    for tensor in tensors:
        if len(tensor.values) != count:
            raise _wrong(tensor.name, f"a column has the shape [{count}] or [{count}, 1]")
    names = [tensor.name for tensor in tensors]
    return [dict(zip(names, row, strict=True)) for row in zip(*(tensor.values for tensor in tensors), strict=True)]
