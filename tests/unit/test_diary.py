"""What a station writes down, over whole groups in virtual time: events in order, sessions whole, energy true."""

import random
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware.bus.messages import Reason
from firmware.diary import Diary, Seen
from firmware.energy import Energy
from firmware.protection import BY_CODE
from hal.simulated.board import MemoryStore, PlantJournal
from hal.simulated.defects import FAULT_KINDS
from hal.simulated.vehicle_spec import VehicleSpec
from tests.scenario.helpers import WORST, Bench, event, judged, plugs, scenario
from watti.scenario import Event

GENTLE = VehicleSpec("gentle", max_a=32.0, draw_ratio=0.97, start_delay_s=3.0, reaction_s=2.0, ramp_a_per_s=2.0)
NEVER = replace(WORST, name="never", start_delay_s=3600.0)
NEARLY = replace(WORST, name="nearly", soc=0.9995)
REFUSER = replace(WORST, name="refuser", obeys=False)
SHOWN_WH = 100.0
SAVED = (
    b'{"total_wh": 5, "session": {"session": "s", "began": {}, "energy_wh": %s, "charging_s": %s, "waiting_s": 0, '
    b'"peak_a": 0}}'
)
Record = Mapping[str, Any]


class Book(Bench):
    """A bench, and the event log of each of its stations."""

    def __init__(self, events: list[Event], switches: str = "B", off: tuple[int, ...] = ()) -> None:
        cars = [GENTLE, NEVER, NEARLY, REFUSER]
        super().__init__(scenario(events, switches, vehicles=cars, off=off))
        self.logs: list[list[Record]] = [[] for _ in switches]
        self.world.record = self._note

    def _note(self, station: int, event: str, fields: Mapping[str, object], now: float) -> None:
        self.logs[station].append({"t_s": now, "event": event, **fields})

    def log(self, *events: str, station: int = 1) -> list[Record]:
        """Those of some kinds; of all when none is named."""
        return [record for record in self.logs[station - 1] if not events or record["event"] in events]

    def words(self, *events: str, station: int = 1) -> list[str]:
        return [record["event"] for record in self.log(*events, station=station)]

    def plug(self, car: VehicleSpec, station: int = 1) -> None:
        self.world.touch(station - 1, lambda plant, now: plant.plug(car, now))

    def unplug(self, station: int = 1) -> None:
        self.world.touch(station - 1, lambda plant, now: plant.unplug(now))

    def inject(self, kind: str, for_s: float, station: int = 1) -> None:
        self.world.touch(station - 1, lambda plant, now: plant.inject(kind, now))
        self.run(self.now + for_s)
        self.world.touch(station - 1, lambda plant, now: plant.clear(kind, now))

    def true_wh(self, station: int = 1) -> float:
        return self.plant(station).energy_kwh(self.now) * 1000.0


def check(log: list[Record], *, kept: bool = True) -> None:
    """That a log is well formed. `kept`: what a station has to remember was never lost."""
    times = [record["t_s"] for record in log]
    assert times == sorted(times)
    _check_sessions(log, kept)
    _check_closings(log)
    _check_faults(log)


def _check_sessions(log: list[Record], kept: bool) -> None:
    """Each has one name, one beginning and one end; whatever names a session names the one under way."""
    under_way: str | None = None
    names = [record["session"] for record in log if record["event"] == "plug_in"]
    assert len(set(names)) == len(names)
    for record in log:
        if record["event"] == "boot" and not kept:
            under_way = None
        elif record["event"] == "plug_in":
            assert under_way is None
            under_way = record["session"]
        elif "session" in record:
            assert record["session"] == under_way
            under_way = None if record["event"] == "session" else under_way


def _check_closings(log: list[Record]) -> None:
    """A stop for each start, unless the process was killed in between."""
    closed = False
    for record in log:
        match record["event"]:
            case "boot":
                closed = False
            case "start":
                assert not closed
                closed = True
            case "stop":
                assert closed
                closed = False
            case "session":
                assert not closed


def _check_faults(log: list[Record]) -> None:
    """Each ends once after it has begun; a new process begins with none."""
    present = set[str]()
    for record in log:
        match record["event"]:
            case "boot":
                present = set()
            case "fault":
                assert record["fault"] not in present
                assert record["sentence"] == BY_CODE[record["fault"]].sentence
                present.add(record["fault"])
            case "clear":
                assert record["after_s"] >= 0.0
                present.remove(record["fault"])


# One session


def test_a_session_from_plug_in_to_unplug() -> None:
    book = Book([*plugs(1), event(600.0, "unplug", 1)])
    book.run(700.0)
    check(book.log())
    assert book.words() == ["boot", "role", "group", "plug_in", "offer", "offer", "start", "unplug", "stop", "session"]
    boot, role, _, plug_in, idle, offer, start, unplug, stop, session = book.log()
    assert boot["model"] == "48A"
    assert (role["role"], role["switch"], role["limit_a"]) == ("standalone", "B", 48.0)
    assert plug_in["t_s"] == pytest.approx(20.25)
    assert idle["offered_a"] == 0.0
    assert (offer["offered_a"], offer["reason"], offer["limit_a"]) == (48.0, "switch", 48.0)
    assert start["offered_a"] == 48.0
    assert stop["why"] == "unplug"
    assert session["ended"] == "unplug"
    assert session["began"]["t_s"] == plug_in["t_s"]
    assert session["charging_s"] == pytest.approx(stop["t_s"] - start["t_s"], abs=0.1)
    assert session["peak_a"] == 48.0
    assert 0 < session["waiting_s"] < 10
    assert unplug["t_s"] <= stop["t_s"] <= session["t_s"]


@pytest.mark.parametrize("car", [WORST, GENTLE, NEARLY], ids=lambda car: car.name)
def test_energy_is_within_1_percent_of_the_true_one(car: VehicleSpec) -> None:
    book = Book([*plugs(1, vehicle=car.name), *plugs(2, at_s=400.0), event(700.0, "unplug", 2)], "BF")
    book.run(1800.0)
    book.unplug()
    book.run(1810.0)
    (session,) = book.log("session")
    assert session["energy_wh"] == pytest.approx(book.true_wh(), rel=0.01, abs=1.0)
    assert book.app(1).diary.total_kwh == pytest.approx(book.true_wh() / 1000.0, abs=0.11)


def test_a_car_that_takes_nothing_is_charged_nothing_though_another_was_there_before() -> None:
    book = Book([*plugs(1), event(300.0, "unplug", 1), *plugs(1, at_s=1500.0, vehicle="never")])
    book.run(1560.0)
    assert book.plant(1).contactor_closed
    book.unplug()
    book.run(1570.0)
    first, second = book.log("session")
    assert first["energy_wh"] > 800
    assert (second["energy_wh"], second["peak_a"]) == (0, 0.0)


def test_what_people_see_of_a_session_follows_it() -> None:
    book = Book(plugs(1))
    shown: list[Mapping[str, object] | None] = []
    for until in (10.0, 23.0, 3600.0):
        book.run(until)
        shown.append(book.app(1).diary.session)
    book.unplug()
    book.run(3601.0)
    name, kwh = book.log("plug_in")[0]["session"], int(book.true_wh() / SHOWN_WH) / 10
    assert shown == [None, {"id": name, "energy_kwh": 0.0}, {"id": name, "energy_kwh": kwh}]
    assert book.app(1).diary.session is None


# Why it stopped


def _power_off(book: Book) -> None:
    book.world.power_off(0)


def _turn_down(book: Book) -> None:
    book.world.touch(0, lambda plant, now: plant.turn(0, now))  # 6 A: enough for one


@pytest.mark.parametrize(
    ("do", "why"),
    [
        (lambda book: book.unplug(2), "unplug"),
        (lambda book: book.inject("diode", 1.0, 2), "fault"),
        (lambda book: book.inject("meter", 8.0, 2), "fault"),
        (lambda book: book.inject("over_temperature", 8.0, 2), "fault"),
        (_power_off, "no_primary"),
        (_turn_down, "quiet_start"),
    ],
    ids=["unplug", "diode", "meter", "over_temperature", "power_off", "turn_down"],
)
def test_why_it_stopped(do: Callable[[Book], None], why: str) -> None:
    book = Book(plugs(1, 2), "BF")
    book.run(80.0)
    assert book.words("start", "stop", station=2) == ["start"]
    do(book)
    book.run(book.now + 25.0)
    (stop,) = book.log("stop", station=2)
    assert stop["why"] == why


def test_a_full_vehicle_stops_by_itself() -> None:
    book = Book(plugs(1, 2, vehicle="nearly"), "BF")
    book.run(1000.0)
    assert [stop["why"] for stop in book.log("stop", station=2)] == ["vehicle"]


def test_one_that_has_to_make_room_stops_for_its_turn() -> None:
    book = Book(plugs(1, 2), "0F")
    book.run(1500.0)
    stops = book.log("stop") + book.log("stop", station=2)
    assert stops
    assert {stop["why"] for stop in stops} == {"waiting"}


# Faults


def test_a_session_survives_every_fault_that_its_vehicle_survives() -> None:
    book = Book(plugs(1))
    book.run(60.0)
    for kind in (
        "pilot_short",
        "pilot_range",
        "diode",
        "meter",
        "over_temperature",
        "ground_fault",
        "switch_unreadable",
    ):
        book.inject(kind, 10.0)
        book.run(book.now + 1000.0)
        assert book.plant(1).current_a == 48.0
    check(book.log())
    assert book.words("plug_in", "resume", "unplug", "session") == ["plug_in"]
    assert [record["fault"] for record in book.log("fault")] == [record["fault"] for record in book.log("clear")]
    assert [stop["why"] for stop in book.log("stop")] == ["fault"] * 7


def test_a_session_survives_f() -> None:
    book = Book(plugs(1))
    book.run(60.0)
    book.world.touch(0, lambda plant, now: plant.turn(12, now))
    book.run(70.0)
    assert book.app(1).station.state == "F"
    book.world.touch(0, lambda plant, now: plant.turn(11, now))
    book.run(130.0)
    assert book.plant(1).current_a == 48.0
    assert book.words("plug_in", "unplug", "session") == ["plug_in"]


def test_a_vehicle_that_goes_while_f_hides_it_ends_its_session_and_its_overdraw() -> None:
    book = Book(plugs(1))
    book.run(60.0)
    book.inject("overdraw", 10.0)
    book.world.touch(0, lambda plant, now: plant.turn(12, now))
    book.run(80.0)
    assert set(book.app(1).station.faults.codes) == {"switch_unsupported", "overdraw"}
    book.unplug()
    book.run(90.0)
    book.world.touch(0, lambda plant, now: plant.turn(11, now))
    book.run(100.0)
    assert book.app(1).station.faults.codes == ()
    assert [session["ended"] for session in book.log("session")] == ["unplug"]
    check(book.log())


def test_a_session_with_a_stuck_contactor_ends_once_and_the_next_one_after_the_repair_is_another() -> None:
    book = Book(plugs(1))
    book.run(60.0)
    book.world.touch(0, lambda plant, now: plant.inject("contactor_stuck", now))
    book.unplug()
    book.run(80.0)
    assert book.app(1).station.state == "F"
    book.world.touch(0, lambda plant, now: plant.clear("contactor_stuck", now))
    book.world.restart(0)
    book.run(100.0)
    book.plug(WORST)
    book.run(160.0)
    book.unplug()
    book.run(170.0)
    check(book.log())
    assert len(book.log("plug_in")) == len(book.log("session")) == 2


# Restarts


@pytest.mark.parametrize("off_s", [0.0, 0.5, 5.0, 600.0])
def test_a_session_is_resumed_when_its_vehicle_is_still_there(off_s: float) -> None:
    book = Book(plugs(1))
    book.run(1800.0)
    if off_s:
        book.world.power_off(0)
        book.run(book.now + off_s)
        book.world.power_on(0)
    else:
        book.world.restart(0)
    book.run(3600.0)
    book.unplug()
    book.run(3610.0)
    check(book.log())
    assert book.words("plug_in", "resume", "session") == ["plug_in", "resume", "session"]
    (session,) = book.log("session")
    assert session["energy_wh"] == pytest.approx(book.true_wh(), rel=0.02)
    starts = [record["t_s"] for record in book.log("start")]
    charged_s = 1800.0 - starts[0] + 3600.0 - starts[1]
    assert session["charging_s"] == pytest.approx(charged_s, abs=35.0), "what was not saved yet: a tenth of a kWh"


def test_a_session_whose_vehicle_has_gone_while_it_was_off_is_closed() -> None:
    book = Book(plugs(1))
    book.run(600.0)
    book.world.power_off(0)
    book.unplug()
    book.run(700.0)
    book.world.power_on(0)
    book.run(705.0)
    assert [session["ended"] for session in book.log("session")] == ["while off"]
    book.plug(WORST)
    book.run(800.0)
    check(book.log())
    assert book.words("plug_in", "session", "resume") == ["plug_in", "session", "plug_in"]


@pytest.mark.parametrize("after_s", [0.06, 1.0, 60.0])
def test_a_session_that_has_ended_does_not_end_again_after_a_restart(after_s: float) -> None:
    book = Book(plugs(1))
    book.run(60.0)
    book.unplug()
    book.run(60.0 + after_s)
    book.world.restart(0)
    book.run(130.0)
    assert book.words("plug_in", "resume", "session") == ["plug_in", "session"]


def test_a_session_that_a_fault_hides_at_the_start_is_not_lost() -> None:
    """The pilot reads 0 V when it comes back: nobody can tell yet whether the vehicle is there."""
    book = Book(plugs(1))
    book.run(600.0)
    book.world.touch(0, lambda plant, now: plant.inject("pilot_short", now))
    book.world.restart(0)
    book.run(620.0)
    assert book.log("session") == []
    book.world.touch(0, lambda plant, now: plant.clear("pilot_short", now))
    book.run(700.0)
    assert book.words("plug_in", "resume", "session") == ["plug_in", "resume"]


def test_energy_never_runs_backwards_over_restarts() -> None:
    """Whenever the process is killed, it has seen at most what it shows again."""
    rng = random.Random(1)
    book = Book(plugs(1))
    book.run(60.0)
    shown: tuple[str, float, float] = ("", 0.0, 0.0)
    for _ in range(40):
        end = book.now + rng.uniform(20.0, 60.0)
        while book.now < end:
            shown = _shown(book, shown)
            book.run(book.now + 0.5)
        if rng.random() < 0.3:
            book.unplug()
            book.run(book.now + 1.0)
            book.plug(WORST)
            book.run(book.now + rng.uniform(0.1, 20.0))
        shown = _shown(book, shown)
        book.world.restart(0)
        shown = _shown(book, shown)
    assert shown[1] > 0.8
    check(book.log())


def _shown(book: Book, before: tuple[str, float, float]) -> tuple[str, float, float]:
    diary = book.app(1).diary
    session: Mapping[str, Any] = diary.session or {"id": "", "energy_kwh": 0.0}
    assert diary.total_kwh >= before[1]
    if session["id"] == before[0]:
        assert session["energy_kwh"] >= before[2]
    return session["id"], diary.total_kwh, session["energy_kwh"]


def test_with_its_memory_lost_a_station_begins_anew() -> None:
    book = Book(plugs(1))
    book.run(600.0)
    book.world.restart(0, lose_state=True)
    assert book.app(1).diary.total_kwh == 0.0
    book.run(700.0)
    book.unplug()
    book.run(701.0)
    check(book.log(), kept=False)
    assert book.words("plug_in", "resume", "session") == ["plug_in", "plug_in", "session"]


@pytest.mark.parametrize(
    "record",
    [
        b"",
        b"\xff\xfe",
        b"{",
        b"[]",
        b"null",
        b"7",
        b'"x"',
        b"{}",
        b'{"total_wh": "much"}',
        b'{"total_wh": NaN, "session": null}',
        b'{"total_wh": 1e999, "session": null}',
        b'{"total_wh": -5, "session": null}',
        b'{"total_wh": 5, "session": []}',
        b'{"total_wh": 5, "session": {}}',
        b'{"total_wh": 5, "session": [1]}',
        b'{"total_wh": 5, "session": "s"}',
        b'{"total_wh": 5, "session": {"session": "s"}}',
        SAVED % (b"NaN", b"0"),
        SAVED % (b"1", b"-1e999"),
        SAVED % (b"1", b"-3"),
        b'{"total_wh": ' + b"9" * 400 + b', "session": null}',
        b"[" * 100000,
        bytes(range(256)),
    ],
    ids=range(23),
)
def test_a_broken_record_is_as_none(record: bytes) -> None:
    book = Book(plugs(1), off=(1,))
    book.world.slots[0].board.session_store.save(record)
    book.world.power_on(0)
    book.run(1.5)
    assert book.app(1).diary.total_kwh == 0.0
    assert book.app(1)._registers
    book.run(120.0)
    book.unplug()
    book.run(121.0)
    check(book.log())
    assert book.words("plug_in", "session") == ["plug_in", "session"]
    assert book.app(1).diary.total_kwh == pytest.approx(book.true_wh() / 1000.0, abs=0.11)


# Another vehicle before the contactor of the last one is open


def test_a_vehicle_that_comes_before_the_contactor_has_opened_has_a_session_of_its_own() -> None:
    log: list[Record] = []
    journal = PlantJournal("test", lambda name, fields: log.append({"event": name, **fields}))
    diary = Diary(journal, MemoryStore(), Energy(), 0.0)
    away = Seen(False, False, 0, Reason.IDLE, (), "none", "B", 480, {})
    there = away._replace(connected=True)
    for now, seen in enumerate(
        [away, there, there._replace(closed=True), away._replace(closed=True), there._replace(closed=True), there, away]
    ):
        diary.see(seen, float(now))
    words = [record["event"] for record in log]
    assert [word for word in words if word in ("plug_in", "session")] == ["plug_in", "session"] * 2
    _check_sessions(log, kept=True)
    _check_closings(log)


# Whatever happens


_KINDS = tuple(kind for kind in FAULT_KINDS if kind not in ("meter", "meter_implausible"))  # they hide what is true
_DOINGS = st.tuples(
    st.sampled_from(["car", "car", "fault", "restart", "power", "stall", "cut", "turn"]),
    st.integers(1, 2),
    st.sampled_from([0.01, 0.04, 0.3, 1.1, 6.0, 30.0]),
    st.sampled_from(_KINDS),
    st.sampled_from([WORST, GENTLE, NEARLY, REFUSER]),
)


def _do(book: Book, what: str, station: int, for_s: float, kind: str, car: VehicleSpec) -> None:
    world, index = book.world, station - 1
    match what:
        case "car":
            book.unplug(station) if book.plant(station).connected else book.plug(car, station)
            book.run(book.now + for_s)
        case "fault":
            book.inject(kind, for_s, station)
        case "restart":
            world.restart(index)
            book.run(book.now + for_s)
        case "power":
            world.power_off(index)
            book.run(book.now + for_s)
            world.power_on(index)
        case "stall":
            world.stall(index, for_s)
            book.run(book.now + for_s + 0.1)
        case "cut":
            world.line.cut(index)
            book.run(book.now + for_s)
            world.line.join(index)
        case "turn":
            world.touch(index, lambda plant, now: plant.turn(12, now))
            book.run(book.now + for_s)
            world.touch(index, lambda plant, now: plant.turn(11 if station == 1 else 15, now))


@given(doings=st.lists(_DOINGS, max_size=12), gap_s=st.sampled_from([0.1, 2.0, 25.0]))
def test_whatever_happens_the_log_is_well_formed(doings: list[Any], gap_s: float) -> None:
    book = Book(plugs(1, 2), "BF")
    with judged(book):
        book.run(40.0)
        for doing in doings:
            _do(book, *doing)
            book.run(book.now + gap_s)
        for station in (1, 2):
            book.world.restart(station - 1)
            book.run(book.now + 2.0)
            if book.plant(station).connected:
                book.unplug(station)
        book.run(book.now + 120.0)
    for station in (1, 2):
        log = book.log(station=station)
        check(log)
        assert book.words("plug_in", station=station).count("plug_in") == len(book.log("session", station=station))
        wh = sum(session["energy_wh"] for session in book.log("session", station=station))
        boots = len(book.log("boot", station=station))
        lost = boots * SHOWN_WH + len(book.log("start", station=station)) * 8.0
        assert book.true_wh(station) - lost <= wh <= book.true_wh(station) * 1.01 + 8.0
