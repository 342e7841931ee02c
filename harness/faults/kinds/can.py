# SPDX-License-Identifier: Apache-2.0
"""Faults of the CAN bus: frames, nodes that do not belong there, fault confinement, end-to-end protection."""

from __future__ import annotations

from collections.abc import Mapping

from harness.faults.frames import NODES
from harness.faults.kinds.parameters import MESSAGE, choice, number
from harness.faults.model import Effect, FaultClass, FaultKind, Parameter, Where

_AGES = ("vehicle_message_age_s", "charger_message_age_s")
_FAULTS_OF_FIELDBUS = "communication faults of IEC 61784-3"
_CONFINEMENT = "ISO 11898-1, fault confinement: error passive at 128, bus-off at 256, recovery after 128 x 11 bits"
_E2E_PROTOCOL = "AUTOSAR PRS E2E Protocol: what its receiver must detect"


def _whole(name: str, minimum: float, maximum: float, meaning: str, *, default: float | None = None) -> Parameter:
    return Parameter(name, "", minimum, maximum, meaning, default=default, integer=True)


FRAME = Parameter(
    "frame",
    "",
    None,
    None,
    "a message of either side, or a sender: dut, vehicle, charger, tester, others, all",
    "message",
)
IMITATED = Parameter("imitated", "", None, None, "the message imitated, or a sender: all it sends", "message")
SIGNAL = Parameter(
    "signal", "", None, None, "Message.Signal; a message or sender: all its signals of several bytes", "message"
)
NODE = choice("node", tuple(NODES), "whose CAN controller", "dut")
SELECTION = (
    number("probability", "", 0.0, 1.0, "chance of each frame to be touched, from the seed", default=1.0),
    _whole("every", 1, 1000, "touches one frame in so many", default=1.0),
    _whole("frames", 0, 1_000_000, "ends after so many touched frames; 0 = no limit", default=0.0),
)
_SELECTED: Mapping[str, str | float] = {"probability": "probability", "every": "every", "count": "frames"}


def _frames(
    kind: str,
    title: str,
    point: str,
    *parameters: Parameter,
    value: str | float = 1.0,
    extra: Mapping[str, str | float] | None = None,
    source: str,
    options: Mapping[str, float] | None = None,
    which: Parameter = FRAME,
) -> FaultKind:
    """A fault on single frames, chosen by message, chance and number."""
    effect = Effect(point, "SET", value, which.name, extra={**_SELECTED, **(extra or {})})
    return FaultKind(
        kind, FaultClass.CAN, title, Where.BUS, (effect,), (which, *parameters, *SELECTION), source,
        masks=_AGES, options=options or {}, shapes=("step", "intermittent"), changes=("bus",),
    )  # fmt: skip


FRAMES: tuple[FaultKind, ...] = (
    _frames(
        "frame-drop",
        "frames vanish: from the wire, or only for their receiver",
        "FRAME_DROP",
        choice("seen_by", ("nobody", "recorder"), "who still sees them", "nobody"),
        extra={"mode": "seen_by"},
        options={"nobody": 0.0, "recorder": 1.0},
        source=f"{_FAULTS_OF_FIELDBUS}: loss",
    ),
    _frames(
        "frame-delay",
        "frames reach the wire late",
        "FRAME_DELAY_S",
        number("delay_s", "s", 0.0001, 10.0, "later by"),
        value="delay_s",
        source=f"{_FAULTS_OF_FIELDBUS}: unacceptable delay",
    ),
    _frames(
        "frame-jitter",
        "frames reach the wire late by a random time",
        "FRAME_JITTER_S",
        number("jitter_s", "s", 0.0001, 10.0, "later by up to this, equally distributed"),
        value="jitter_s",
        source=f"{_FAULTS_OF_FIELDBUS}: unacceptable delay; task jitter of other controllers (practice)",
    ),
    _frames(
        "frame-duplicate",
        "frames are sent twice",
        "FRAME_DUPLICATE",
        number("gap_s", "s", 0.0, 10.0, "the copy comes later by", default=0.0),
        value="gap_s",
        source=f"{_FAULTS_OF_FIELDBUS}: unintended repetition",
    ),
    _frames(
        "frame-reorder",
        "a frame comes behind the next one of its identifier",
        "FRAME_REORDER",
        source=f"{_FAULTS_OF_FIELDBUS}: incorrect sequence",
    ),
    _frames(
        "frame-replay",
        "frames carry what was sent a while ago",
        "FRAME_REPLAY_S",
        number("age_s", "s", 0.01, 10.0, "so old, of the last 256 frames kept; untouched where there is none"),
        value="age_s",
        source="replay of recorded frames: ISO/SAE 21434, annex on attack paths (not confirmed)",
    ),
    _frames(
        "frame-corrupt",
        "random bits of the payload inverted, CAN checksum right: as by a gateway's memory",
        "FRAME_CORRUPT",
        _whole("bits", 1, 64, "how many"),
        value="bits",
        source=f"{_FAULTS_OF_FIELDBUS}: corruption; what end-to-end protection is for",
    ),
    _frames(
        "frame-bit-error",
        "frames destroyed on the wire: error frame, error counters, repetition",
        "FRAME_BIT_ERROR",
        choice("found_by", ("sender", "receiver"), "who notices: a wrong bit read back, a wrong CRC", "sender"),
        value=0.0,
        extra={"mode": "found_by"},
        options={"sender": 0.0, "receiver": 1.0},
        source=_CONFINEMENT,
    ),
    _frames(
        "frame-short",
        "frames with fewer bytes than the database says",
        "FRAME_LENGTH",
        _whole("length", 0, 63, "bytes left"),
        value="length",
        source="wrong length code: fault list of ISO 26262-5 annex D on communication (not confirmed)",
    ),
    _frames(
        "frame-byte-order",
        "a signal of several bytes sent in the other byte order",
        "FRAME_BYTE_ORDER",
        which=SIGNAL,
        source="Intel and Motorola order mixed up in a sender's configuration (practice)",
    ),
    _frames(
        "ack-loss",
        "nobody acknowledges: the sender is alone on the bus",
        "FRAME_ACK",
        source=f"{_CONFINEMENT}; a lone error passive sender counts no further",
    ),
)

_PATTERN = _whole(
    "pattern", 1, 4_294_967_295, "bits inverted in the first four bytes, byte 0 the lowest", default=65_536.0
)


def _foreign(kind: str, title: str, effect: Effect, parameters: tuple[Parameter, ...], source: str) -> FaultKind:
    return FaultKind(
        kind, FaultClass.CAN, title, Where.BUS, (effect,), parameters, source, masks=_AGES,
        shapes=("step",), changes=("bus",),
    )  # fmt: skip


FOREIGN: tuple[FaultKind, ...] = (
    _foreign(
        "foreign-sender",
        "another node sends the same identifier, with the last payload seen there and bits inverted",
        Effect("FOREIGN_SENDER", "SET", "interval_s", "imitated", extra={"mask": "pattern", "count": "frames"}),
        (IMITATED, number("interval_s", "s", 0.001, 60.0, "from one forgery to the next"), _PATTERN, SELECTION[2]),
        f"{_FAULTS_OF_FIELDBUS}: masquerade",
    ),
    _foreign(
        "foreign-collision",
        "another node sends the same identifier at the same time: both destroy each other's frames",
        Effect("FOREIGN_SENDER", "SET", 0.0, "imitated", extra={"mask": "pattern", "mode": 1.0, "count": "frames"}),
        (IMITATED, _PATTERN, SELECTION[2]),
        "one identifier given to two senders, bit error behind the arbitration: ISO 11898-1",
    ),
    _foreign(
        "babbling-node",
        "another node floods the bus with one identifier",
        Effect("FOREIGN_BABBLE", "SET", "load_pct", factor=0.01, extra={"id": "identifier", "length": "bytes"}),
        (
            number("load_pct", "%", 0.1, 100.0, "share of the bus time it takes at most"),
            _whole("identifier", 0, 2047, "what it sends; 0 comes before everyone else", default=0.0),
            _whole("bytes", 0, 8, "payload, all zero", default=8.0),
        ),
        "babbling idiot failure of event-triggered buses: Kopetz, Real-Time Systems (not confirmed)",
    ),
)


def _confinement(kind: str, title: str, value: str | float, *parameters: Parameter) -> FaultKind:
    times = _whole(
        "times", 0, 1_000_000, "how often, as soon as the node is better again; 0 = as long as it lasts", default=1.0
    )
    effect = Effect("NODE_TEC", "SET", value, extra={"node": "node", "count": "times"})
    return FaultKind(
        kind, FaultClass.CAN, title, Where.BUS, (effect,), (NODE, *parameters, times), _CONFINEMENT, masks=_AGES,
        options={name: float(node) for name, node in NODES.items()}, shapes=("step",),
        changes=("bus", "given.can_state"),
    )  # fmt: skip


CONFINEMENT: tuple[FaultKind, ...] = (
    _confinement("bus-off", "a node's CAN controller goes bus-off", 256.0),
    _confinement(
        "error-passive",
        "a node's CAN controller goes error passive",
        "errors",
        _whole("errors", 128, 255, "its transmit error counter", default=128.0),
    ),
)

_MODES = {"correct": 0.0, "last-valid": 1.0, "last-sent": 2.0}
_LASTING = _whole("frames", 0, 1_000_000, "over after so many frames; 0 = when the time is", default=0.0)
_RESUME = choice(
    "resume", tuple(_MODES), "how the counter goes on: as if nothing had been, or behind which value", "correct"
)


def _protection(kind: str, what: str, point: str, op: str, how: str, *parameters: Parameter) -> FaultKind:
    counter = point == "MESSAGE_COUNTER"
    resume: Mapping[str, str | float] = {"mode": "resume"} if counter else {}
    value = parameters[0].name if parameters else 0.0
    effect = Effect(point, op, value, "message", extra={"count": "frames", **resume})
    return FaultKind(
        kind, FaultClass.CAN, f"{what} of messages to the controller {how}", Where.BUS, (effect,),
        (MESSAGE, *parameters, _LASTING, *((_RESUME,) if counter else ())), _E2E_PROTOCOL, masks=_AGES,
        options=_MODES if counter else {}, shapes=("step", "intermittent"), changes=("bus",),
    )  # fmt: skip


def _all_of(prefix: str, what: str, point: str, largest: int) -> tuple[FaultKind, ...]:
    """The same four faults for counter and checksum."""
    return (
        _protection(
            f"{prefix}-value", what, point, "SET", "set to a number", _whole("value", 0, largest, "what is sent")
        ),
        _protection(f"{prefix}-freeze", what, point, "HOLD", "held at the last one sent"),
        _protection(f"{prefix}-random", what, point, "RANDOM", "random, never the right one"),
        _protection(
            f"{prefix}-offset", what, point, "ADD", "off by a number", _whole("offset", -largest, largest, "added")
        ),
    )


KINDS: tuple[FaultKind, ...] = (
    *FRAMES,
    *FOREIGN,
    *CONFINEMENT,
    *_all_of("e2e-counter", "alive counter", "MESSAGE_COUNTER", 255),
    *_all_of("e2e-crc", "checksum", "MESSAGE_CRC", 65_535),
)
