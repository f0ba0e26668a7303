"""Whole stations on a line that a stranger speaks on: nothing escapes, and the conversation goes on afterwards."""

from collections.abc import Mapping
from math import inf
from random import Random

from firmware.app import App, Setup
from firmware.bus import messages as msg
from firmware.bus.health import BusHealth
from firmware.bus.messages import Identity
from firmware.bus.rtu import MAX_FRAME, Splitter, frame, silence_s
from firmware.bus.versions import PROTOCOL, Software
from firmware.rotary import Chart
from firmware.sharing.primary import Primary
from firmware.sharing.secondary import Secondary
from firmware.timing import Timing
from hal.api import Inputs, Node
from hal.simulated.plant import Plant
from hal.simulated.vehicle_spec import VehicleSpec
from hal.simulated.world import Boot, World
from tests.fuzz.frames import grant, line_script, piece, pieces, status
from tests.fuzz.fuzzer import Target
from watti.run import described
from watti.scenario import CONFIGS

BAUD = 115200
CHART = Chart.load(CONFIGS / "rotary.toml")
CAR = VehicleSpec("car", start_delay_s=0.0, ramp_a_per_s=0.0)
LIMIT_A = 48.0
_ROUNDING_A = 0.005
_PRIMARY, _SECONDARY, _STRANGER = range(3)
_STARTS_S = (0.7, 3.0, 21.0, 40.0)
"""When the stranger begins: not yet enrolled, enrolled in the quiet start, the first amps, both charging."""
NOISE_PAST_S = 60.0
FORGED_PAST_S = 200.0
"""Both charge again this long after the stranger's last word; a refusal that was forged holds for 30 s."""
_MOST_AT_ONCE = 2000
_LAYOUTS = 7


class Stranger(Node):
    """Hears all and decides nothing: what it says is put on the line by the script."""

    def __init__(self) -> None:
        self.heard: list[bytes] = []
        self._splitter = Splitter(BusHealth())

    def next_wakeup(self) -> float:
        return inf

    def step(self, now: float) -> None:
        """Nothing is ever due."""

    def on_inputs(self, inputs: Inputs, now: float) -> None:
        """Its board does not matter."""

    def on_bytes(self, data: bytes, now: float) -> bool:
        self.heard = [*self.heard[-30:], *self._splitter.feed(data)]
        return False

    def on_outputs_dropped(self, now: float) -> None:
        """It holds none."""

    def on_bus(self, works: bool, now: float) -> None:
        """Its port is a wire."""


class Circuit:
    """A primary and a secondary that both want to charge, and a stranger on their line."""

    def __init__(self) -> None:
        self.world = World(1, BAUD, silence_s(BAUD), self._boot)
        self.stranger = Stranger()
        self.most_a = 0.0
        self._instant, self._looks = -inf, 0
        self.world.observe = self._look
        for switch in (0xB, 0xF, 0xF):
            self.world.add(Plant(switch, powered=False))
        for index in (_PRIMARY, _SECONDARY, _STRANGER):
            self.world.power_on(index)
        for index in (_PRIMARY, _SECONDARY):
            self.world.touch(index, lambda plant, now: plant.plug(CAR, now))

    def _boot(self, boot: Boot) -> Node:
        if boot.station == _STRANGER:
            return self.stranger
        setup = Setup(0xA1B2C3D4E5 + boot.station, "48A", 48, BAUD, Timing(), CHART)
        return App(setup, boot.board, boot.rng, boot.inputs, boot.now)

    def _look(self, index: int) -> None:
        self._looks = self._looks + 1 if self.world.now == self._instant else 0
        self._instant = self.world.now
        assert self._looks < _MOST_AT_ONCE, "spins without time passing"
        self.most_a = max(self.most_a, sum(self.possible_a()))

    def possible_a(self) -> list[float]:
        return [slot.plant.possible_a for slot in self.world.slots]

    def app(self, index: int) -> App:
        app = self.world.slots[index].node
        assert isinstance(app, App)
        return app

    def say(self, data: bytes) -> None:
        """The stranger sends, whoever else does."""
        self.world.line.send(_STRANGER, data, self.world.now)
        self.world.refresh(_STRANGER)

    def wait(self, seconds: float) -> None:
        self.world.run(self.world.now + seconds)

    def turn(self, position: int) -> None:
        """The primary's switch, long enough to count."""
        self.world.touch(_PRIMARY, lambda plant, now: plant.turn(position, now))
        self.wait(2.0)

    def bounded(self) -> None:
        """Nothing that grows with what is heard is larger than it may be."""
        primary, secondary = self.app(_PRIMARY).role, self.app(_SECONDARY).role
        if isinstance(primary, Primary):
            assert primary._master._splitter.pending < MAX_FRAME
            assert len(primary.group.secondaries) <= 4
            assert len(primary.group.ledger.rows) < 500
            assert len(primary._enroller.letters) < 10
            assert len(primary._polls) <= 6
        if isinstance(secondary, Secondary):
            assert secondary._splitter.pending < MAX_FRAME
        for index in (_PRIMARY, _SECONDARY):
            app = self.app(index)
            plant = self.world.slots[index].plant
            assert plant.offered_a == 0.0 or 6.0 - _ROUNDING_A <= plant.offered_a <= 48.0 + _ROUNDING_A
            assert app.station.holder.amps_da <= app.station.rating_da
            assert described(app)["role"]
            assert app._registers

    def recovered(self, within_s: float) -> bool:
        """Whether both charge, in one group, within a time."""
        until = self.world.now + within_s
        while self.world.now < until:
            self.wait(2.0)
            drawn = [self.world.slots[i].plant.current_a for i in (_PRIMARY, _SECONDARY)]
            if min(drawn) > 20.0 and self.app(_PRIMARY).view().role == "primary":
                return True
        return False


# What the stranger says


def noise_script(rng: Random) -> bytes:
    """The first byte says when it begins."""
    script = bytes((rng.randrange(len(_STARTS_S)),))
    for _ in range(rng.choice((1, 4, 12))):
        again, stall = piece(7, rng.randbytes(rng.randrange(9))), piece(6, rng.randbytes(2))
        script += rng.choice((again, again, stall, piece(0, rng.randbytes(1)), line_script(rng)))
    return script


def check_noise(script: bytes) -> str:
    """What anybody may say who is in no session, and what was said before, to stations that stand still at times: the
    total stays, and all goes on."""
    circuit = _circuit(script)
    rng = Random(script)
    for kind, data in pieces(script[1:]):
        if kind == 0:
            circuit.wait(data[0] / 100 if data else 0.01)
        elif kind == 6 and len(data) == 2:
            circuit.world.stall(data[0] & 1, data[1] / 50)
        elif kind == 7 and circuit.stranger.heard:
            circuit.say(_spoilt(rng.choice(circuit.stranger.heard), data))
        elif not _speaks_for_a_primary(data):
            circuit.say(frame(data) if kind <= 4 and len(data) >= 2 else data)
            circuit.wait(len(data) * 11 / BAUD if kind & 1 else 0.0)
        circuit.bounded()
    assert circuit.recovered(NOISE_PAST_S), "does not recover"
    assert circuit.most_a <= LIMIT_A + _ROUNDING_A, f"the vehicles could draw {circuit.most_a} A"
    return f"accepted {_health(circuit)}"


def _speaks_for_a_primary(data: bytes) -> bool:
    """A sound word of another primary, or a new unit's: more than noise, these change a group by design."""
    if len(data) < 4:
        return False
    whole = frame(data)
    return (msg.is_poll(whole) and msg.decode_poll(whole) is not None) or msg.decode_enrolment(whole) is not None


def _spoilt(one: bytes, change: bytes) -> bytes:
    """A frame of before, as it was or with some bytes changed, its CRC-16 then right or wrong."""
    spoilt = bytearray(one)
    for at, by in zip(change[:4:2], change[1:4:2], strict=False):
        spoilt[at % len(spoilt)] ^= by
    return frame(bytes(spoilt[:-2])) if len(change) & 2 else bytes(spoilt)


def forged_script(rng: Random) -> bytes:
    """Words of members and of other primaries, sealed as they must be, with fields from hell."""
    script = bytes((rng.randrange(len(_STARTS_S)),))
    for _ in range(rng.choice((1, 20, 120))):
        layout, address = rng.randrange(_LAYOUTS), rng.choice((0, 1, 2, 246, 247))
        fields = bytes((layout, address)) + rng.randbytes(24)
        if layout < 2:
            words = grant(rng) if layout == 0 else status(rng)
            fields = bytes((layout, address)) + b"".join((int(word) & 0xFFFFFFFF).to_bytes(4, "big") for word in words)
        script += piece(rng.choice((1, 1, 1, 0)), fields if rng.random() < 0.9 else rng.randbytes(1))
    return script


def check_forged(script: bytes) -> str:
    """Whoever knows the session can have it his way; but nothing escapes, and a turned switch mends it."""
    circuit = _circuit(script)
    for kind, data in pieces(script[1:]):
        if kind == 0:
            circuit.wait(data[0] / 10 if data else 0.05)
        elif len(data) > 2:
            circuit.say(_forged(circuit, data))
            circuit.wait(0.01 if kind & 1 else 0.0)
        circuit.bounded()
    for position in (0xA, 0xB):
        circuit.turn(position)
    assert circuit.recovered(FORGED_PAST_S), "does not recover"
    return f"accepted {_health(circuit)}"


def _forged(circuit: Circuit, data: bytes) -> bytes:
    layout, address = data[0] % _LAYOUTS, data[1]
    n = [int.from_bytes(data[i : i + 4], "big") for i in range(2, 30, 4)]
    u16 = [number & 0xFFFF for number in n]
    primary, secondary = circuit.app(_PRIMARY).role, circuit.app(_SECONDARY).role
    session, unit = 1, msg.UNENROLLED
    if isinstance(secondary, Secondary):
        session, unit = secondary._session, secondary._address
    own = primary._identity if isinstance(primary, Primary) else Identity(n[0], n[1])
    other = secondary._identity if isinstance(secondary, Secondary) else own
    stranger = Identity(n[1] << 16 | n[2] & 0xFFFF, n[3])
    software = Software(PROTOCOL if n[5] & 2 else n[5] >> 24, n[0])
    asked = circuit.app(_SECONDARY).station.holder.question
    match layout:
        case 0:
            question = asked if n[1] & 1 else n[1]
            reason = msg.Reason(n[5] % (msg.Reason.FAULT + 1))
            return msg.encode_poll(
                unit,
                own.serial,
                session,
                msg.Grant(n[0], question, u16[2], u16[3], u16[4], reason),
            )
        case 1:
            question = asked + n[0] % 3 if n[0] & 1 else n[0]
            said = msg.Status(question, n[1], u16[2], u16[3], u16[4], u16[5], u16[6])
            return msg.encode_status(unit, session, said)
        case 2:
            return msg.encode_enrolment(
                address, msg.Probe(stranger if n[4] & 1 else own, n[1], data[2], bool(n[5] & 1))
            )
        case 3:
            here = msg.Here(Identity(other.serial, n[3]) if n[4] & 1 else stranger, software)
            return msg.encode_enrolment(address, here)
        case 4:
            return msg.encode_enrolment(address, msg.Assign(own if n[4] & 1 else stranger, other, n[0], data[2]))
        case 5:
            serial = (own, other, stranger)[n[4] % 3].serial
            return msg.encode_enrolment(address, msg.Refuse(stranger, serial, data[2] % 6, software))
    return msg.encode_enrolment(address, msg.AreYouSecondary(stranger, (own, other)[n[4] & 1].serial, bool(n[5] & 1)))


def _circuit(script: bytes) -> Circuit:
    circuit = Circuit()
    circuit.world.run(_STARTS_S[script[0] % len(_STARTS_S)] if script else 1.0)
    return circuit


def _health(circuit: Circuit) -> str:
    """Which counters have moved: a kind of outcome."""
    counts: Mapping[str, int] = {
        **{f"p{name}": getattr(circuit.app(_PRIMARY).health, name) for name in ("crc_errors", "missed", "late")},
        **{f"s{name}": getattr(circuit.app(_SECONDARY).health, name) for name in ("crc_errors", "intruders")},
        "refused": circuit.app(_SECONDARY).station.holder.refused,
    }
    return " ".join(name for name, count in counts.items() if count)


def targets() -> list[Target]:
    return [
        Target("station noise", noise_script, check_noise),
        Target("station forged", forged_script, check_forged),
    ]
