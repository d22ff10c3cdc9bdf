"""Machine code for 3×3 convolutions by Winograd's minimal filtering, made for this processor when first needed.

F(2 × 2, 3 × 3) of Lavin & Gray 2016: four output pixels take 16 products per pair of channels in place of 36, and no
more of the input than their own 3 × 3 surrounds, so that what lies beyond a window changes no bit.

A tile is 2 × 2 output pixels y, computed from 4 × 4 input pixels d and a 3 × 3 kernel g:

    y = Aᵀ [ Σ over input channels of (G g Gᵀ) ⊙ (Bᵀ d B) ] A

    Bᵀ = | 1  0 −1  0 |    G = |  1    0    0  |    Aᵀ = | 1  1  1  0 |
         | 0  1  1  0 |        | 1/2  1/2  1/2 |         | 0  1 −1 −1 |
         | 0 −1  1  0 |        | 1/2 −1/2  1/2 |
         | 0  1  0 −1 |        |  0    0    1  |

⊙ multiplies the 16 entries ("points") one by one, so that for each point the sum over channels is a matrix product of
(tiles, inputs) by (inputs, outputs). G g Gᵀ is computed once, when a layer is made (`winograd_layer`). The code written
here does the rest for `TILES` tiles at a time, in three passes over memory that stays in a core's second cache:

1. `_transform`: Bᵀ d B of each tile, `INPUT_LANES` channels per instruction → ``transformed[point, tile, channel]``
2. `_multiply`: the 16 matrix products, `_ROWS` tiles × `OUTPUT_LANES` channels in registers → ``products``
3. `_transform_back`: Aᵀ m A, bias, floor (ReLU), up to two residuals added, and the store, which may shuffle pixels

Whoever changes it: tests/inference/test_winograd.py compares layers and networks with torch's convolutions, and
benchmarks/network.py shows the speed. `_ROWS` suits the registers of AVX2, `TILES` the second cache.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from itertools import product
from typing import Any

from llvmlite import binding, ir

TILES = 24
"""Tiles of 2 × 2 output pixels under way at a time, for 48 channels to stay in a core's second cache."""
INPUT_LANES, OUTPUT_LANES = 8, 16
"""Channels that are worked on together: a layer's have to be multiples."""
POINTS = 16
"""Products per tile and pair of channels."""
_ROWS = 6
"""Tiles multiplied together; with two registers of 8 floats each they fill the registers of AVX2."""

_INT, _FLOAT, _POINTER = ir.IntType(64), ir.FloatType(), ir.PointerType()
_LANES = ir.VectorType(_FLOAT, INPUT_LANES)
_PANEL = ir.VectorType(_FLOAT, OUTPUT_LANES)
_ALIGNED = 4

_PARAMETERS = {
    "window": _POINTER, "height": _INT, "width": _INT, "inputs": _INT,
    "weights": _POINTER, "bias": _POINTER, "outputs": _INT, "floor": _FLOAT,
    "added": _POINTER, "added_row": _INT, "added_column": _INT,
    "more": _POINTER, "more_row": _INT, "more_column": _INT,
    "out": _POINTER, "out_row": _INT, "out_column": _INT, "places": _POINTER, "kept": _INT,
    "row_phase": _INT, "column_phase": _INT, "tiles": _INT, "transformed": _POINTER, "products": _POINTER,
}  # fmt: skip
_C_TYPES: dict[ir.Type, Any] = {_INT: ctypes.c_int64, _FLOAT: ctypes.c_float, _POINTER: ctypes.c_void_p}


@cache
def convolution() -> Callable[..., None]:
    """Compile the convolution; it leaves the interpreter free while it runs.

    Returns
    -------
    callable
        Takes addresses and numbers, strides in floats:

        - window (height, width, inputs) float32; weights (POINTS, outputs / OUTPUT_LANES, inputs, OUTPUT_LANES)
          float32, transformed; bias (outputs,) float32; floor, the least value that is given
        - added, its row and column strides: float32, added after the floor, by output pixel and channel; more, likewise
        - out, its row and column strides, places (kept / INPUT_LANES,) int64, where each group of channels goes from
          there, and kept, how many of the channels are given
        - row and column phase, 0 or 1: whether output pixel 0 is the first or the second of its tile
        - tiles, how many there are
        - transformed (POINTS, TILES, inputs) and products (POINTS, TILES, outputs) float32, to work in

    Raises
    ------
    RuntimeError, OSError
        If this system lets nobody compile.
    """
    binding.initialize_native_target()
    binding.initialize_native_asmprinter()
    machine = binding.Target.from_default_triple().create_target_machine(
        cpu=binding.get_host_cpu_name(), features=binding.get_host_cpu_features().flatten(), opt=3
    )
    module = ir.Module("winograd")
    module.triple = machine.triple
    function = ir.Function(module, ir.FunctionType(ir.VoidType(), _PARAMETERS.values()), "convolve")
    _Convolution(function).write()
    compiled = binding.parse_assembly(str(module))
    compiled.verify()
    options = binding.create_pipeline_tuning_options(speed_level=3)
    options.loop_unrolling = False  # what is worth it is written out already
    passes = binding.create_pass_builder(machine, options)
    passes.getModulePassManager().run(compiled, passes)
    engine = binding.create_mcjit_compiler(compiled, machine)
    engine.finalize_object()
    kind = ctypes.CFUNCTYPE(None, *(_C_TYPES[given] for given in _PARAMETERS.values()))
    call = kind(engine.get_function_address("convolve"))
    call.engine = engine  # type: ignore[attr-defined]  # the code is gone with it
    return call


class _Convolution:
    """Writes the convolution's code into a function."""

    def __init__(self, function: ir.Function) -> None:
        for argument, name in zip(function.args, _PARAMETERS, strict=True):
            argument.name = name
            if name in ("out", "transformed", "products"):
                argument.add_attribute("noalias")
        self._of: dict[str, Any] = dict(zip(_PARAMETERS, function.args, strict=True))
        self._code = ir.IRBuilder(function.append_basic_block())
        self._transformed_point = self._times(_INT(TILES), self._of["inputs"])
        self._product_point = self._times(_INT(TILES), self._of["outputs"])

    def write(self) -> None:
        """Go through the tiles, so many at a time: transform the input, multiply, transform back."""
        of, code = self._of, self._code
        height, width = (code.sub(of[side], _INT(2)) for side in ("height", "width"))
        across = code.sdiv(code.add(code.add(width, of["column_phase"]), _INT(1)), _INT(2))
        with self._loop(_INT(0), of["tiles"], TILES) as first:
            count = self._least(_INT(TILES), code.sub(of["tiles"], first))
            # Rounded up to whole groups of `_ROWS`: those beyond the last tile repeat it, and nobody reads them.
            whole = self._times(code.sdiv(code.add(count, _INT(_ROWS - 1)), _INT(_ROWS)), _INT(_ROWS))
            with self._loop(_INT(0), whole) as tile:
                index = self._least(code.add(first, tile), code.sub(of["tiles"], _INT(1)))
                self._transform(tile, self._place(index, across))
            with self._loop(_INT(0), _INT(POINTS)) as point:
                self._multiply(point, whole)
            with self._loop(_INT(0), count) as tile:
                self._transform_back(tile, self._place(code.add(first, tile), across), (height, width))
        code.ret_void()

    def _place(self, tile: ir.Value, across: ir.Value) -> tuple[ir.Value, ir.Value]:
        """The output row and column of a tile's first pixel, which is -1 where the tile begins before the output."""
        code = self._code
        row, column = (self._times(_INT(2), at) for at in (code.sdiv(tile, across), code.srem(tile, across)))
        return code.sub(row, self._of["row_phase"]), code.sub(column, self._of["column_phase"])

    def _transform(self, tile: ir.Value, place: tuple[ir.Value, ir.Value]) -> None:
        """Bᵀ d B of a tile's 4 × 4 input pixels; those beyond the window are only met by outputs nobody takes."""
        of, code = self._of, self._code
        rows, columns = (
            [self._clamped(code.add(at, _INT(step)), of[side]) for step in range(4)]
            for at, side in zip(place, ("height", "width"), strict=True)
        )
        pixels = [
            [
                self._at(of["window"], self._times(code.add(self._times(row, of["width"]), column), of["inputs"]))
                for column in columns
            ]
            for row in rows
        ]
        target = self._at(of["transformed"], self._times(tile, of["inputs"]))
        with self._loop(_INT(0), of["inputs"], INPUT_LANES) as channel:
            values = [[self._load(self._at(pixel, channel), _LANES) for pixel in row] for row in pixels]
            down = list(zip(*(self._spread(column) for column in zip(*values, strict=True)), strict=True))
            for number, value in enumerate(value for row in down for value in self._spread(row)):
                point = self._times(_INT(number), self._transformed_point)
                self._store(value, self._at(target, code.add(point, channel)))

    def _multiply(self, point: ir.Value, tiles: ir.Value) -> None:
        """Products of one point: (tiles, inputs) by (inputs, outputs)."""
        of = self._of
        left = self._at(of["transformed"], self._times(point, self._transformed_point))
        right = self._at(of["weights"], self._times(point, self._times(of["inputs"], of["outputs"])))
        target = self._at(of["products"], self._times(point, self._product_point))
        with self._loop(_INT(0), of["outputs"], OUTPUT_LANES) as output:
            panel = self._at(right, self._times(output, of["inputs"]))
            with self._loop(_INT(0), tiles, _ROWS) as tile:
                rows = [self._code.add(tile, _INT(row)) for row in range(_ROWS)]
                sums = self._sums([self._at(left, self._times(row, of["inputs"])) for row in rows], panel)
                for row, value in zip(rows, sums, strict=True):
                    self._store(value, self._at(target, self._code.add(self._times(row, of["outputs"]), output)))

    def _sums(self, rows: list[ir.Value], panel: ir.Value) -> Any:
        """Sums over the input channels, which stay in registers."""
        code = self._code
        nothing = ir.Constant(_PANEL, [0.0] * OUTPUT_LANES)
        # One load of 16 weights serves `_ROWS` tiles: their sums, two registers each, the weights' two and one for the
        # value leave one of AVX2's 16 registers free.
        with self._loop(_INT(0), self._of["inputs"], carried=[nothing] * len(rows)) as (channel, sums):
            weights = self._load(self._at(panel, self._times(channel, _INT(OUTPUT_LANES))), _PANEL)
            for number, row in enumerate(rows):
                value = self._filled(self._load(self._at(row, channel), _FLOAT), OUTPUT_LANES)
                sums[number] = code.call(self._fused, [value, weights, sums[number]])
        return sums

    def _transform_back(
        self, tile: ir.Value, place: tuple[ir.Value, ir.Value], size: tuple[ir.Value, ir.Value]
    ) -> None:
        """Aᵀ m A of a tile's products: its 2 × 2 output pixels, as far as they are in the output."""
        of, code = self._of, self._code
        pixels = []
        for down, right in product(range(2), range(2)):
            row, column = code.add(place[0], _INT(down)), code.add(place[1], _INT(right))
            inside = code.and_(code.icmp_unsigned("<", row, size[0]), code.icmp_unsigned("<", column, size[1]))
            places = (
                self._at(
                    of[name],
                    code.add(self._times(row, of[f"{name}_row"]), self._times(column, of[f"{name}_column"])),
                )
                for name in ("added", "more", "out")
            )
            pixels.append((inside, *places))
        source = self._at(of["products"], self._times(tile, of["outputs"]))
        floor = self._filled(of["floor"], INPUT_LANES)
        with self._loop(_INT(0), of["kept"], INPUT_LANES) as channel:
            found = [
                self._load(self._at(source, code.add(self._times(_INT(number), self._product_point), channel)), _LANES)
                for number in range(POINTS)
            ]
            columns = [self._gather(found[number::4]) for number in range(4)]
            values = [value for row in zip(*columns, strict=True) for value in self._gather(row)]
            bias = self._load(self._at(of["bias"], channel), _LANES)
            group = code.sdiv(channel, _INT(INPUT_LANES))
            goes_to = code.load(code.gep(of["places"], [group], source_etype=_INT), typ=_INT)
            for value, (inside, added, more, out) in zip(values, pixels, strict=True):
                # A tile at the border has pixels beyond the output; the memory there may be another row's.
                with code.if_then(inside):
                    above = code.fadd(value, bias)
                    above = code.select(code.fcmp_ordered(">", above, floor), above, floor)
                    for other in (added, more):
                        above = code.fadd(above, self._load(self._at(other, channel), _LANES))
                    self._store(above, self._at(out, goes_to))

    def _spread(self, values: Any) -> list[ir.Value]:
        """Bᵀ of four values."""
        code = self._code
        a, b, c, d = values
        return [code.fsub(a, c), code.fadd(b, c), code.fsub(c, b), code.fsub(b, d)]

    def _gather(self, values: Any) -> list[ir.Value]:
        """Aᵀ of four values: two."""
        code = self._code
        a, b, c, d = values
        return [code.fadd(code.fadd(a, b), c), code.fsub(code.fsub(b, c), d)]

    @contextmanager
    def _loop(
        self, start: ir.Value, stop: ir.Value, step: int = 1, carried: list[ir.Value] | None = None
    ) -> Iterator[Any]:
        """Count from start to stop; what is carried is handed on from turn to turn, and holds the last of it after."""
        code = self._code
        before = code.block
        head, body, after = (code.append_basic_block() for _ in range(3))
        code.branch(head)
        code.position_at_end(head)
        index = code.phi(_INT)
        index.add_incoming(start, before)
        kept = [code.phi(value.type) for value in carried or ()]
        for phi, value in zip(kept, carried or (), strict=True):
            phi.add_incoming(value, before)
        code.cbranch(code.icmp_signed("<", index, stop), body, after)
        code.position_at_end(body)
        values = list(kept)
        yield index if carried is None else (index, values)
        index.add_incoming(code.add(index, _INT(step)), code.block)
        for phi, value in zip(kept, values, strict=True):
            phi.add_incoming(value, code.block)
        values[:] = kept
        code.branch(head)
        code.position_at_end(after)

    @property
    def _fused(self) -> ir.Function:
        """Multiply and add, in one instruction where there is one."""
        name = f"llvm.fmuladd.v{OUTPUT_LANES}f32"
        found = self._code.module.globals.get(name)
        return found or ir.Function(self._code.module, ir.FunctionType(_PANEL, [_PANEL] * 3), name)

    def _filled(self, value: ir.Value, lanes: int) -> ir.Value:
        code, kind = self._code, ir.VectorType(_FLOAT, lanes)
        one = code.insert_element(ir.Constant(kind, ir.Undefined), value, ir.IntType(32)(0))
        return code.shuffle_vector(one, one, ir.Constant(ir.VectorType(ir.IntType(32), lanes), [0] * lanes))

    def _clamped(self, value: ir.Value, size: ir.Value) -> ir.Value:
        code = self._code
        below = self._least(value, code.sub(size, _INT(1)))
        return code.select(code.icmp_signed(">", below, _INT(0)), below, _INT(0))

    def _least(self, one: ir.Value, other: ir.Value) -> ir.Value:
        return self._code.select(self._code.icmp_signed("<", one, other), one, other)

    def _times(self, one: ir.Value, other: ir.Value) -> ir.Value:
        return self._code.mul(one, other)

    def _at(self, pointer: ir.Value, floats: ir.Value) -> ir.Value:
        return self._code.gep(pointer, [floats], source_etype=_FLOAT)

    def _load(self, pointer: ir.Value, kind: ir.Type) -> ir.Value:
        return self._code.load(pointer, align=_ALIGNED, typ=kind)

    def _store(self, value: ir.Value, pointer: ir.Value) -> None:
        self._code.store(value, pointer, align=_ALIGNED)
