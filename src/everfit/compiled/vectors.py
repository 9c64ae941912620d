"""Vectors of LLVM: a number for each of several rows side by side. LLVM cuts them into what the processor has."""

from __future__ import annotations

from typing import Any

from llvmlite import ir

from everfit.compiled.native import BYTE, DOUBLE, HALF, LONG, WORD, Builder, Value

LANES = 64
_BIT = ir.IntType(1)
_ADDRESS = ir.PointerType()
# Bytes, and the name that LLVM's intrinsics have for the type.
_KINDS = {BYTE: (1, "i8"), HALF: (2, "i16"), WORD: (4, "i32"), LONG: (8, "i64"), DOUBLE: (8, "f64")}


def vector(kind: Any) -> Any:
    """The type of a vector."""
    return ir.VectorType(kind, LANES)


def constant(kind: Any, value: float) -> Value:
    """The same number in each lane."""
    return ir.Constant(vector(kind), [value] * LANES)


def lanes(kind: Any, step: int = 1) -> Value:
    """Each lane's own number, times `step`."""
    return ir.Constant(vector(kind), [lane * step for lane in range(LANES)])


def spread(build: Builder, value: Value) -> Value:
    """A number that is not known beforehand in each lane."""
    kind = vector(value.type)
    nothing = ir.Constant(kind, ir.Undefined)
    first = build.insert_element(nothing, value, WORD(0))
    return build.shuffle_vector(first, nothing, constant(WORD, 0))


def load(build: Builder, array: Value, kind: Any, index: Value) -> Value:
    """Elements side by side, from the index on."""
    return build.load(_place(build, array, kind, index, vector(kind).as_pointer()), align=_KINDS[kind][0])


def store(build: Builder, value: Value, array: Value, kind: Any, index: Value) -> None:
    """Puts a vector's elements side by side, from the index on."""
    build.store(value, _place(build, array, kind, index, vector(kind).as_pointer()), align=_KINDS[kind][0])


def gather(build: Builder, array: Value, kind: Any, index: Value, spaced: Any = None) -> Value:
    """An element for each lane, wherever it stands; the vector `index` counts elements of `spaced`, or of `kind`."""
    size, name = _KINDS[kind]
    addresses, bits = vector(_ADDRESS), vector(_BIT)
    found = vector(kind)
    name = f"llvm.masked.gather.v{LANES}{name}.v{LANES}p0"
    made = build.module.globals.get(name)
    if made is None:
        made = ir.Function(build.module, ir.FunctionType(found, [addresses, WORD, bits, found]), name)
    places = _place(build, array, spaced or kind, index, addresses)
    return build.call(made, [places, WORD(size), constant(_BIT, 1), ir.Constant(found, ir.Undefined)])


def _place(build: Builder, array: Value, kind: Any, index: Value, address: Any) -> Value:
    """The address of one element, or the addresses of many."""
    place = build.gep(array, [index], source_etype=kind)
    place.type = address  # llvmlite says it is `array`'s, which LLVM knows better
    return place
