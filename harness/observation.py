# SPDX-License-Identifier: Apache-2.0
"""One recorded run as judges see it: what the controller was given, the truth, its outputs, and what it reported.

Works on traces of virtual rigs, of benches and on plain recordings alike; what was not recorded is None. Everything
is computed when first asked for, on whole arrays, and kept.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from harness import charge, charging, derived
from harness.canbus.batch import Decoded
from harness.canbus.flow import Block, blocks
from harness.canbus.product import Node, Profile, States
from harness.canbus.ranges import reported_ranges
from harness.canbus.uds import Exchange, dialogue, restarts, stalled
from harness.extremes import (
    CONTACTORS,
    DIGITAL_IN,
    SENSOR_RANGE_DEGC,
    WITNESSES,
    Range,
    bit_ranges,
    given_ranges,
)
from harness.received import MESSAGE_AGES, TOLD, Receptions, Times, asked, request_new, rising, told
from harness.requirements.evidence import MessageSeries, Series
from harness.trace import Side, Trace
from harness.troubles import Troubles

ARRAY_NAMES: Mapping[str, Mapping[str, str]] = {
    "given": {"cell_voltage_v": "cell_voltage_v", "cell_temp_degc": "cell_temp_degc"},
    "truth": {"cell_voltage_v": "true_cell_voltage_v", "cell_temp_degc": "true_cell_temp_degc"},
}
SPREADS: Mapping[str, tuple[str, str]] = {
    "cell_voltage_spread_v": ("cell_voltage_max_v", "cell_voltage_min_v"),
    "cell_temp_spread_k": ("cell_temp_max_degc", "cell_temp_min_degc"),
}
PERCENT: Mapping[str, tuple[Side, str]] = {  # of the truth, from columns that run from 0 to 1
    "soc_pct": ("truth", "soc_mean"),
    "bus_load_pct": ("environment", "bus_load"),
}
CELL_VALID, CELL_OPEN_WIRE = 1, 2  # bits of the array "cell_flags" (FIL_VALID, FIL_OPEN_WIRE)
MIN_PACK_V = 1.0
_HALF = 0.5  # between the 0 and the 1 of a digital column
DERIVED_SIDES: Mapping[str, Side] = {"can_restart_age_s": "truth", "soc_unseen_pct": "truth"}  # all others are given
RecordedSide = Side | Literal["reported"]
Values = NDArray[Any]


class Observation:
    """Implements `harness.requirements.evidence.Evidence` on a trace and the profile of its product.

    `timing_s` is the uncertainty of time differences, `boot_s` the time after power-on without reactions.
    """

    def __init__(self, trace: Trace, profile: Profile, *, timing_s: float, boot_s: float) -> None:
        self._trace = trace
        self._profile = profile
        self._timing_s = timing_s
        self._boot_s = boot_s
        self._cache: dict[tuple[str, str], Series | None] = {}
        self._messages: dict[tuple[str, str | None, str | None], MessageSeries | None] = {}
        self._decoded: Decoded | None = None
        self._received: Receptions | None = None
        self._troubles: Troubles | None = None
        self._exchanges: tuple[Exchange, ...] | None = None
        self._session: charging.Session | None = None
        self._bits: dict[tuple[Side, str], NDArray[np.uint8] | None] = {}
        self._ranges: dict[RecordedSide, Mapping[str, Range]] = {}
        self._derived: Mapping[str, Callable[[], Values | None]] = {
            "cell_temp_rise_k_per_s": lambda: derived.temp_rise(self._trace, self._column("given", "temps_invalid")),
            "voltage_mismatch_v": lambda: derived.voltage_mismatch(self._column),
            "link_of_pack_pct": self._link_of_pack,
            "cells_lost": self._cells_lost,
            **{age: partial(self._message_age, age) for age in MESSAGE_AGES},
            **{value: partial(self._told, value) for value in TOLD},
            "vehicle_frames_corrupt": lambda: self._reception().corrupt("vehicle", self._trace.t_s),
            "charger_frames_corrupt": lambda: self._reception().corrupt("charger", self._trace.t_s),
            **{name: partial(self._charging, name) for name in charging.QUANTITIES},
            "mode_requested": lambda: self._reception().mode(self._trace.t_s),
            "contact_losses": lambda: derived.contact_losses(self._column, self._trace, self.power_ons()),
            **charge.quantities(self._trace, self),
            "can_recovered": partial(derived.recovered, self._trace),
            "can_restart_age_s": partial(derived.restart_age, self._trace),
            "request_new": lambda: request_new(self._profile, self.decoded, self.power_ons(), self._trace.t_s),
        }

    @property
    def duration_s(self) -> float:
        """Time of the last row, or of the last frame in a recording without rows."""
        if len(self._trace.t_s) or not len(self._trace.frames):
            return self._trace.duration_s
        return float(self._trace.frames.t_ns[-1] / 1e9)

    @property
    def timing_s(self) -> float:
        """Uncertainty of a time difference."""
        return self._timing_s

    @property
    def boot_s(self) -> float:
        """Time after power-on within which the controller need not react yet."""
        return self._boot_s

    @property
    def decoded(self) -> Decoded:
        """All frames by message, with the counts of those that could not be decoded."""
        if self._decoded is None:
            self._decoded = self._profile.decoder.decode(self._trace.frames)
        return self._decoded

    def given(self, quantity: str) -> Series | None:
        """What the controller was given."""
        return self._series("given", quantity)

    def truth(self, quantity: str) -> Series | None:
        """What was true in the plant."""
        return self._series("truth", quantity)

    def output(self, quantity: str) -> Series | None:
        """What the controller's pins did."""
        return self._series("output", quantity)

    def reported(self, quantity: str) -> Series | None:
        """What it said on the bus: None without a signal, empty when it never came; states without a name are -1."""
        key = ("reported", quantity)
        if key not in self._cache:
            self._cache[key] = self._report(quantity)
        return self._cache[key]

    def ranges(self, side: RecordedSide) -> Mapping[str, Range]:
        """Least and greatest value of all quantities known without a look at samples; NaN: unknown, or none."""
        if side not in self._ranges:
            self._ranges[side] = self._known_ranges(side)
        return self._ranges[side]

    def _known_ranges(self, side: RecordedSide) -> Mapping[str, Range]:
        if side == "reported":
            return reported_ranges(self._profile, self.decoded)
        kept = self._trace.extremes.get(side)
        if not kept:
            return {}
        if side == "given":
            return given_ranges(kept, partial(self._bit_ranges, "given", "digital_in"))
        return {**kept, **self._bit_ranges(side, "contactors", CONTACTORS)}

    def bounds(self, side: RecordedSide, quantity: str) -> Range | None:
        """Values that no sample lies beyond, where they are cheaper than the samples; None elsewhere."""
        node = MESSAGE_AGES.get(quantity) if side == "given" else None
        messages = () if node is None else self._profile.aged(quantity, node)
        if not messages or not len(self._trace.t_s):
            return None
        if node == "charger" and self.ranges("given").get("charge_plug") == (0.0, 0.0):
            return (0.0, 0.0)
        return (0.0, self._reception().longest_silence_s(messages, self._trace.duration_s))

    def message(self, name: str, *, counter: str | None, crc: str | None) -> MessageSeries | None:
        """One message of the controller; None when the database has no message of that name."""
        key = (name, counter, crc)
        if key not in self._messages:
            self._messages[key] = self._message(name, counter, crc) if name in self.decoded else None
        return self._messages[key]

    def resets(self) -> NDArray[np.float64]:
        """Times of fault resets asked for on the bus, and of power-ons with a damaged image: latches are unknown."""
        asked_s = asked(self._profile, self.decoded, "reset-faults")
        return np.sort(np.concatenate((derived.forgotten(self._trace), asked_s)))

    def resets_heard(self) -> NDArray[np.float64]:
        """Times at which a fault reset began in frames that the controller must accept."""
        return self._reception().heard("reset-faults")

    def power_ons(self) -> NDArray[np.float64]:
        """Times at which the controller was switched on or reset by UDS; 0 too when the run started switched off."""
        on_s = derived.switched_on(self._trace, self.output("powered"))
        return np.sort(np.concatenate((on_s, restarts(self.exchanges()))))

    def exchanges(self) -> tuple[Exchange, ...]:
        """Every diagnostic request with its answer."""
        if self._exchanges is None:
            self._exchanges = dialogue(self._trace.frames, self._profile.diagnostics)
        return self._exchanges

    def stalled(self) -> tuple[tuple[float, float], ...]:
        """Diagnostic requests of several frames without flow control: since when one waited, and until when."""
        return stalled(self._trace.frames, self._profile.diagnostics)

    def blocks(self) -> tuple[Block, ...]:
        """What the controller sent of long answers after each flow control."""
        return blocks(self._trace.frames, self._profile.diagnostics)

    def codes_cleared(self) -> Times:
        """Times at which trouble codes were asked to be cleared by J1939."""
        troubles = self.troubles()
        return np.empty(0) if troubles is None else troubles.asked_s

    def frame_counts(self) -> dict[str, int]:
        """Frames by what became of them, diagnostic ones apart from those the database does not know."""
        return derived.frame_counts(self.decoded.counts, self._trace.frames, self._profile)

    # ---- columns ---------------------------------------------------------------------------------------------

    def _series(self, side: Side, quantity: str) -> Series | None:
        key = (side, quantity)
        if key not in self._cache:
            values = self._values(side, quantity)
            self._cache[key] = None if values is None else Series(self._trace.t_s, values)
        return self._cache[key]

    def _values(self, side: Side, quantity: str) -> Values | None:
        columns = self._trace.columns.get(side, {})
        if quantity in columns:
            return self._as_known(quantity, columns) if side == "given" else columns[quantity]
        if quantity in SPREADS:
            high, low = (self._column(side, name) for name in SPREADS[quantity])
            return None if high is None or low is None else high - low
        if quantity in CONTACTORS and side != "given":
            return self._bit(side, "contactors", CONTACTORS[quantity])
        if quantity in DIGITAL_IN and side == "given":
            return self._bit(side, "digital_in", DIGITAL_IN[quantity])
        if side == "truth" and quantity in PERCENT:
            source, name = PERCENT[quantity]
            column = self._trace.columns.get(source, {}).get(name)
            return None if column is None else 100.0 * column
        if quantity == "powered" and side == "given":
            return self._column("output", "powered")
        if quantity in self._derived and side == DERIVED_SIDES.get(quantity, "given"):
            return self._derived[quantity]()
        return self._element(side, quantity)

    def _column(self, side: Side, quantity: str) -> Values | None:
        series = self._series(side, quantity)
        return None if series is None else series.value

    def _bit(self, side: Side, column: str, mask: int) -> Values | None:
        """One bit of a column of bits, as 0 and 1."""
        bits = self._column_of_bits(side, column)
        return None if bits is None else np.minimum(bits & np.uint8(mask), np.uint8(1))

    def _column_of_bits(self, side: Side, column: str) -> NDArray[np.uint8] | None:
        key = (side, column)
        if key not in self._bits:
            values = self._trace.columns.get(side, {}).get(column)
            self._bits[key] = None if values is None else values.astype(np.uint8)
        return self._bits[key]

    def _bit_ranges(self, side: Side, column: str, masks: Mapping[str, int]) -> Mapping[str, Range]:
        least, greatest = self._trace.extremes.get(side, {}).get(column, (0.0, 1.0))
        if least == greatest:
            return bit_ranges(masks, int(least), int(least))
        bits = self._column_of_bits(side, column)
        if bits is None or not len(bits):
            return {}
        return bit_ranges(masks, int(np.bitwise_and.reduce(bits)), int(np.bitwise_or.reduce(bits)))

    def _element(self, side: Side, quantity: str) -> Values | None:
        """One cell or sensor of the per-cell records, "cell_voltage_v[17]" counted from 1."""
        name, bracket, number = quantity.partition("[")
        array = self._trace.arrays.get(ARRAY_NAMES.get(side, {}).get(name, ""))
        if array is None or not bracket or not 1 <= int(number[:-1]) <= array.shape[1]:
            return None
        element: Values = array[:, int(number[:-1]) - 1]
        return element

    def _as_known(self, quantity: str, columns: Mapping[str, Values]) -> Values:
        """A column without what the controller cannot know: NaN, or a broken sensor counted as such."""
        values = columns[quantity]
        if quantity == "temps_invalid":
            broken = self._broken_sensors(columns)
            return values if broken is None else values + broken
        witness = columns.get(WITNESSES.get(quantity, ""))
        if witness is None:
            return values
        known = witness > 0
        if quantity.startswith("cell_temp") and (broken := self._broken_sensors(columns)) is not None:
            known &= broken == 0
        return values if known.all() else np.where(known, values, np.float32(np.nan))

    def _broken_sensors(self, columns: Mapping[str, Values]) -> Values | None:
        """How many of the two extremes are no temperature: the reading of a broken or shorted wire that is still said
        to be valid. None where all are temperatures.
        """
        high, low = columns.get("cell_temp_max_degc"), columns.get("cell_temp_min_degc")
        if high is None or low is None:
            return None
        too_high, too_low = high > SENSOR_RANGE_DEGC[1], low < SENSOR_RANGE_DEGC[0]
        if not too_high.any() and not too_low.any():
            return None
        return too_high.astype(np.float32) + too_low.astype(np.float32)

    # ---- derived quantities ----------------------------------------------------------------------------------

    def _link_of_pack(self) -> Values | None:
        """Link voltage as a share of the pack voltage; 0 without a pack voltage."""
        link, pack = self._column("given", "link_voltage_v"), self._column("given", "pack_voltage_v")
        if link is None or pack is None:
            return None
        share: Values = np.where(pack > MIN_PACK_V, 100.0 * link / np.maximum(pack, MIN_PACK_V), 0.0)
        return share

    def _cells_lost(self) -> Values | None:
        """Cells without a valid voltage although their sense wires are whole."""
        invalid, open_wire = self._column("given", "cells_invalid"), self._column("given", "cells_open_wire")
        flags = self._trace.arrays.get("cell_flags")
        if invalid is None or not invalid.any() or open_wire is None or not open_wire.any():
            return invalid
        if flags is None:  # then every cell on an open wire counts as invalid because of it
            still: Values = np.maximum(invalid - open_wire, 0.0)
            return still
        lost: Values = np.count_nonzero(flags & (CELL_VALID | CELL_OPEN_WIRE) == 0, axis=1).astype(np.float32)
        return lost

    def _message_age(self, quantity: str) -> Values | None:
        """Age of the oldest message meant; 0 while the controller could not have heard it: off, (charger) unplugged."""
        node = MESSAGE_AGES[quantity]
        messages = self._profile.aged(quantity, node)
        if not messages:
            return None
        t_s = self._trace.t_s
        deaf = self._deaf(node)
        if deaf is not None and deaf.all():
            return np.zeros(len(t_s))
        age: Values = t_s - self._reception().last_good(messages, t_s)
        if deaf is not None:
            age = np.minimum(age, t_s - np.maximum.accumulate(np.where(deaf, t_s, 0.0)))
        return age

    def _charging(self, quantity: str) -> Values | None:
        self._session = self._session or charging.session_of(self._trace, self._column)
        return self._session.values(quantity) if self._session.seen else None

    def _told(self, value: str) -> Values | None:
        return told(self._profile, self._reception(), self.decoded, value, self._trace.t_s)

    def _reception(self) -> Receptions:
        if self._received is None:
            unplugged = self.ranges("given").get("charge_plug") == (0.0, 0.0)
            plug = None if unplugged else self._column("given", "charge_plug")
            plugged_s = np.empty(0) if plug is None else self._trace.t_s[rising(plug > _HALF)]
            starts: Mapping[Node, Times] = {"charger": np.sort(np.concatenate((self.power_ons(), plugged_s)))}
            self._received = Receptions(self._profile, self._trace, self.decoded, self.power_ons(), starts)
        return self._received

    def _deaf(self, node: Node) -> NDArray[np.bool_] | None:
        powered = self._column("output", "powered")
        deaf = None if powered is None else powered < _HALF
        if node == "charger":
            plug = self._column("given", "charge_plug")
            unplugged = None if plug is None else plug < _HALF
            deaf = unplugged if deaf is None else deaf if unplugged is None else deaf | unplugged
        return deaf if deaf is not None and deaf.any() else None

    # ---- the bus ---------------------------------------------------------------------------------------------

    def _report(self, quantity: str) -> Series | None:
        binding = self._profile.bindings.get(quantity)
        if binding is None:
            return None if (troubles := self.troubles()) is None else troubles.series(quantity)
        if binding.states is not None:
            return self._report_state(binding.path, binding.states)
        t_s, value = self.decoded.values(binding.path)
        if binding.scale != 1.0 or binding.offset != 0.0:
            value = value * binding.scale + binding.offset
        return Series(t_s, value)

    def troubles(self) -> Troubles | None:
        """What was told by J1939 trouble codes; None for a product that does not know any."""
        if self._troubles is None and self._profile.j1939 is not None:
            times = (self._reception().heard("clear-dtcs"), derived.forgotten(self._trace), self.power_ons())
            self._troubles = Troubles(self._profile, self._trace, self.decoded, *times)
        return self._troubles

    def _report_state(self, path: str, states: States) -> Series:
        series = self.decoded.signal(path)
        return Series(series.t_s, states.numbers(series.raw))

    def _message(self, name: str, counter: str | None, crc: str | None) -> MessageSeries:
        protection = self._profile.protections.get(name)
        counts = None
        modulus = 0
        if counter is not None and counter in self._profile.database.by_name[name].by_name:
            counts = self.decoded.signal(f"{name}.{counter}").raw.astype(np.int64)
            named = protection is not None and protection.counter == counter
            length = self._profile.database.by_name[name].by_name[counter].length
            modulus = protection.counter_modulus if protection is not None and named else 1 << length
        fits = None
        if crc is not None and protection is not None and protection.crc == crc and protection.checksum is not None:
            fits = self.decoded.checksums_fit(self.decoded.rows(name), protection.checksum)
        return MessageSeries(self.decoded.times(name), counts, modulus, fits)
