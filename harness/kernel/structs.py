# SPDX-License-Identifier: Apache-2.0
"""From the dataclasses of config.py to the structs of kernel.h."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from typing import Any

import numpy as np

from harness.errors import UsageError
from harness.kernel.config import Event, Fault, Field, KernelConfig, Message

_PAYLOAD_BYTES = 64


class StructBuilder:
    """Fills structs and keeps everything their pointers point to alive; keep the builder as long as the structs."""

    def __init__(self, ffi: Any) -> None:
        self._ffi = ffi
        self._alive: list[Any] = []

    def config(self, config: KernelConfig, firmware: Any) -> Any:
        """A `bh_config *`. `firmware` is a `bh_firmware` that outlives it."""
        target = self._keep(self._ffi.new("bh_config *"))
        for name in ("seed", "tick_us", "start_tick_ms", "variant", "max_events", "max_faults"):
            _set(target, name, getattr(config, name))
        self._tables(target.cell, config.cell, "cell")
        target.cell.n_soc = len(config.cell.soc)
        target.cell.n_temp = len(config.cell.temp_degc)
        self._tables(target.pack, config.pack, "pack")
        target.pack.n_cells = config.pack.n_cells
        target.pack.n_temps = config.pack.n_temps
        self._tables(target.environment, config.environment, "environment")
        target.environment.n_load = len(config.environment.load_s)
        _check_shapes(config)
        _copy(target.bus, config.bus, "bus")
        _copy(target.tester, config.tester, "tester")
        self._parameters(target, config.parameters)
        target.n_messages, target.messages = self._rows("bh_message", config.messages)
        target.n_sent_fields, target.sent_fields = self._rows("bh_field", config.sent_fields)
        target.n_received_fields, target.received_fields = self._rows("bh_field", config.received_fields)
        target.firmware = firmware
        return target

    def plan(self, events: Sequence[Event], faults: Sequence[Fault]) -> tuple[int, Any, int, Any]:
        """The arguments of bh_plan; the kernel copies what they point to."""
        n_events, event_rows = self._rows("bh_event", events)
        n_faults, fault_rows = self._rows("bh_fault", faults)
        return n_events, event_rows, n_faults, fault_rows

    def _keep(self, item: Any) -> Any:
        self._alive.append(item)
        return item

    def _tables(self, target: Any, source: Any, what: str) -> None:
        """Copy numbers, and point to arrays in the layout C expects."""
        for entry in fields(source):
            value = getattr(source, entry.name)
            if value is None:
                continue
            if not isinstance(value, (np.ndarray, list, tuple)):
                _set(target, entry.name, value, what)
                continue
            kind, dtype = ("int32_t[]", np.int32) if entry.name == "temp_cell" else ("double[]", np.float64)
            array = self._keep(np.ascontiguousarray(value, dtype=dtype))
            setattr(target, entry.name, self._keep(self._ffi.from_buffer(kind, array)))

    def _parameters(self, target: Any, parameters: tuple[tuple[str, int], ...]) -> None:
        rows = self._keep(self._ffi.new("fil_parameter[]", max(1, len(parameters))))
        for row, (name, value) in zip(rows, parameters, strict=False):
            row.name = self._keep(self._ffi.new("char[]", name.encode()))
            _set(row, "value", value, f"parameter {name}")
        target.n_parameters = len(parameters)
        target.parameters = rows

    def _rows(self, kind: str, sources: Sequence[Message | Field | Event | Fault]) -> tuple[int, Any]:
        rows = self._keep(self._ffi.new(f"{kind}[]", max(1, len(sources))))
        for index, source in enumerate(sources):
            _copy(rows[index], source, f"{kind.removeprefix('bh_')}s[{index}]")
        return len(sources), rows


def _copy(target: Any, source: Any, what: str) -> None:
    """Copy the fields of a slotted dataclass into fresh memory, which is zero: most fields of most rows are."""
    for name in source.__slots__:
        value = getattr(source, name)
        if value:
            _set(target, name, value, what)


def _set(target: Any, name: str, value: Any, what: str = "config") -> None:
    try:
        setattr(target, name, value.ljust(_PAYLOAD_BYTES, b"\0") if isinstance(value, bytes) else value)
    except (OverflowError, TypeError, IndexError, ValueError) as error:
        raise UsageError(f"{what}: {name} = {value!r} does not fit: {error}") from error


def _check_shapes(config: KernelConfig) -> None:
    """The kernel trusts lengths it cannot see."""
    cell, pack, environment = config.cell, config.pack, config.environment
    n_soc, n_temp, n_cells = len(cell.soc), len(cell.temp_degc), pack.n_cells
    wanted = {
        "cell.ocv_v": (cell.ocv_v, (n_soc,)),
        "cell.hysteresis_v": (cell.hysteresis_v, (n_soc,)),
        "cell.entropy_v_per_k": (cell.entropy_v_per_k, (n_soc,)),
        "cell.r0_discharge_ohm": (cell.r0_discharge_ohm, (n_temp, n_soc)),
        "cell.r0_charge_ohm": (cell.r0_charge_ohm, (n_temp, n_soc)),
        "pack.soc": (pack.soc, (n_cells,)),
        "pack.r_scale": (pack.r_scale, (n_cells,)),
        "pack.temp_degc": (pack.temp_degc, (n_cells,)),
        "environment.load_w": (environment.load_w, (len(environment.load_s),)),
    }
    if environment.line_v is not None and environment.line_w is not None:
        wanted["environment.line_v"] = (environment.line_v, (len(environment.load_s),))
        wanted["environment.line_w"] = (environment.line_w, (len(environment.load_s),))
    wrong = [
        f"{name} has shape {np.shape(a)}, needs {shape}" for name, (a, shape) in wanted.items() if np.shape(a) != shape
    ]
    if wrong:
        raise UsageError("; ".join(wrong))
