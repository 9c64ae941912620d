"""From LLVM's intermediate code to functions that Python can call, made in this process in some tens of milliseconds.

llvmlite alone does it: no compiler on the machine, nothing cached on disk, no Numba to import. The kernels are written
with `llvmlite.ir` in the modules beside this one. Floating-point operations stay what IEEE 754 says: nothing is
reordered, nothing fused.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from llvmlite import binding, ir

BYTE, HALF, WORD, LONG = (ir.IntType(bits) for bits in (8, 16, 32, 64))
SINGLE, DOUBLE = ir.FloatType(), ir.DoubleType()
POINTER = {"double": DOUBLE.as_pointer(), "long": LONG.as_pointer()}

Builder = Any  # llvmlite ships no types
Value = Any
Call = Callable[..., None]


@dataclass(frozen=True, slots=True)
class Native:
    """A compiled function of addresses and counts. `held` keeps the interpreter's lock, which is cheaper for a row;
    `free` releases it, so that several threads compute at once. `engine` owns the machine code."""

    held: Call
    free: Call
    engine: Any


def function(name: str, arguments: Sequence[Any]) -> tuple[Any, Builder]:
    """A new function without a result, in a module of its own, and the builder at its beginning."""
    made = ir.Function(ir.Module(name), ir.FunctionType(ir.VoidType(), arguments), name)
    return made, ir.IRBuilder(made.append_basic_block("entry"))


def integer(value: int) -> Value:
    """A constant of 64 bits."""
    return LONG(value)


@contextmanager
def loop(build: Builder, stop: Value, start: Value | None = None, step: int = 1) -> Iterator[Value]:
    """The body runs for each index from `start` (0) to below `stop`.

    with loop(build, rows) as row: ...
    """
    place = local(build, LONG)
    build.store(integer(0) if start is None else start, place)
    head, body, end = (build.append_basic_block(name) for name in ("head", "body", "end"))
    build.branch(head)
    build.position_at_end(head)
    build.cbranch(build.icmp_signed("<", build.load(place), stop), body, end)
    build.position_at_end(body)
    index = build.load(place)
    yield index
    build.store(build.add(index, integer(step)), place)
    build.branch(head)
    build.position_at_end(end)


def local(build: Builder, kind: Any, count: int = 1) -> Value:
    """Room for `count` values on the stack, taken once at the function's beginning, whatever loop asks for it."""
    with build.goto_entry_block():
        return build.alloca(kind, count)


def at(build: Builder, array: Value, index: Value) -> Value:
    """The element's address."""
    return build.gep(array, [index])


def get(build: Builder, array: Value, index: Value) -> Value:
    """The element."""
    return build.load(at(build, array, index))


def put(build: Builder, value: Value, array: Value, index: Value) -> None:
    """Stores the element."""
    build.store(value, at(build, array, index))


def intrinsic(build: Builder, name: str, *values: Value) -> Value:
    """`llvm.NAME` of values of one type."""
    kind = values[0].type
    made = build.module.declare_intrinsic(f"llvm.{name}", [kind], ir.FunctionType(kind, [kind] * len(values)))
    return build.call(made, values)


def minimum(build: Builder, a: Value, b: Value) -> Value:
    """The smaller of two integers."""
    return build.select(build.icmp_signed("<", a, b), a, b)


def last_below(build: Builder, array: Value, bounds: tuple[Value, Value], halvings: int, value: Value) -> Value:
    """The last place from the first bound to below the second whose number is not above the value, of numbers that
    rise; the first place where all are. `halvings` are those that the longest such stretch takes."""
    low, high = local(build, LONG), local(build, LONG)
    build.store(bounds[0], low)
    build.store(bounds[1], high)
    with loop(build, integer(halvings)):
        middle = build.ashr(build.add(build.load(low), build.load(high)), integer(1))
        up = build.fcmp_ordered("<=", get(build, array, middle), value)
        build.store(build.select(up, middle, build.load(low)), low)
        build.store(build.select(up, build.load(high), middle), high)
    return build.load(low)


def compiled(made: Any, build: Builder, signature: str) -> Native:
    """The function as machine code. `signature` has a letter an argument: p for an address (or bytes to read
    from) and n for a count. OSError or RuntimeError when LLVM cannot serve this machine."""
    build.ret_void()
    target = _machine()
    module = binding.parse_assembly(str(made.module))
    module.verify()
    passes = binding.create_pass_builder(target, binding.create_pipeline_tuning_options(speed_level=3))
    passes.getModulePassManager().run(module, passes)
    engine = binding.create_mcjit_compiler(module, target)
    engine.finalize_object()
    address = engine.get_function_address(made.name)
    kinds = [_C_KINDS[letter] for letter in signature]
    return Native(ctypes.PYFUNCTYPE(None, *kinds)(address), ctypes.CFUNCTYPE(None, *kinds)(address), engine)


_C_KINDS: dict[str, Any] = {"p": ctypes.c_void_p, "n": ctypes.c_ssize_t}


def _machine() -> Any:
    """A description of this processor; an engine takes it over, so each has its own."""
    binding.initialize_native_target()
    binding.initialize_native_asmprinter()
    features = binding.get_host_cpu_features().flatten()
    return binding.Target.from_default_triple().create_target_machine(
        cpu=binding.get_host_cpu_name(), features=features, opt=3
    )
