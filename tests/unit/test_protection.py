"""The table of faults, and what begins and ends each of them."""

from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware.faults import Faults
from firmware.protection import BY_CODE, FAULTS, NUMBER, Clears, Fault, Severity, table, word
from firmware.timing import ERROR_PAUSE_S, RECLOSE_S, RECLOSE_TRIES
from hal.api import Colour
from hal.simulated.defects import FAULT_KINDS

CODES = [fault.code for fault in FAULTS]
NUMBERS = {
    "contactor_stuck": 1,
    "switch_unsupported": 2,
    "switch_unreadable": 3,
    "pilot_short": 4,
    "diode": 5,
    "pilot_range": 6,
    "overdraw": 7,
    "contactor_open": 8,
    "meter": 9,
    "duplicate_serial": 10,
    "more_than_one_primary": 11,
    "group_full": 12,
    "bus_port": 13,
    "no_primary": 14,
    "ground_fault_self_test": 15,
    "ground_fault": 16,
    "no_ground": 17,
    "over_temperature": 18,
    "meter_implausible": 19,
    "configuration": 20,
    "thermometer": 21,
    "log": 22,
    "unheard": 23,
    "store": 25,
    "contactor_fell": 24,
    "protocol": 26,
}
"""What other makers' masters read in registers: it never changes."""


def by_rule(rule: Clears) -> list[str]:
    return [fault.code for fault in FAULTS if fault.clears is rule]


# The table


def test_numbers_stay_what_they_are_and_are_used_once() -> None:
    assert NUMBER == NUMBERS
    assert len(set(NUMBER.values())) == len(FAULTS)


@pytest.mark.parametrize("unique", ["code", "number", "blinks", "sentence"])
def test_no_code_number_blink_or_sentence_stands_for_two_faults(unique: str) -> None:
    assert len({getattr(fault, unique) for fault in FAULTS}) == len(FAULTS)


def test_every_kind_that_can_be_injected_is_a_code() -> None:
    assert set(FAULT_KINDS) <= set(CODES)


@pytest.mark.parametrize("fault", FAULTS, ids=CODES)
def test_each_lamp_code_can_be_counted_and_its_colour_tells_who_is_hit(fault: Fault) -> None:
    assert len(fault.blinks) == 2
    assert all(1 <= count <= 6 for count in fault.blinks)
    mild = fault.severity in (Severity.GROUP, Severity.WARNING)
    assert fault.light.colour is (Colour.AMBER if mild else Colour.RED)
    assert fault.light.words == f"{fault.light.colour.value} {fault.blinks[0]}-{fault.blinks[1]}"


@pytest.mark.parametrize("fault", FAULTS, ids=CODES)
def test_each_sentence_is_one_for_a_person(fault: Fault) -> None:
    assert fault.sentence[0].isupper()
    assert fault.sentence.endswith(".")
    assert "_" not in fault.sentence


def test_the_documentation_has_a_row_for_each_fault_the_most_severe_first() -> None:
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in table().splitlines()]
    assert rows[0] == ["number", "code", "lamp", "effect", "clears", "what it says"]
    assert [row[1] for row in rows[2:]] == CODES
    for row, fault in zip(rows[2:], FAULTS, strict=True):
        assert row == [
            str(fault.number),
            fault.code,
            fault.light.words,
            fault.severity.value,
            fault.clears.value,
            fault.sentence,
        ]


def test_faults_stand_in_the_order_of_their_severity() -> None:
    """The first one present is the one that lamp, register and status show."""
    order = [Severity.DISABLED, Severity.STOP, Severity.PAUSE, Severity.GROUP, Severity.WARNING]
    ranks = [order.index(fault.severity) for fault in FAULTS]
    assert ranks == sorted(ranks)
    assert set(order) == set(Severity)


def test_a_number_is_read_back_as_its_code_and_one_of_a_later_version_as_itself() -> None:
    assert [word(number) for number in NUMBERS.values()] == list(NUMBERS)
    assert (word(0), word(99)) == ("", "fault_99")


# What they do


def test_no_fault_at_first() -> None:
    faults = Faults()
    assert (faults.codes, faults.worst, faults.blocking, faults.disabling) == ((), "", False, False)
    assert faults.step(1e9) == inf


@pytest.mark.parametrize("fault", FAULTS, ids=CODES)
def test_the_effect_is_that_of_the_table(fault: Fault) -> None:
    faults = Faults()
    assert faults.begin(fault.code)
    assert not faults.begin(fault.code), "it is not new a second time"
    assert (faults.worst, faults.codes) == (fault.code, (fault.code,))
    assert faults.disabling == (fault.severity is Severity.DISABLED)
    assert faults.urgent == (fault.severity in (Severity.DISABLED, Severity.STOP))
    assert faults.blocking == (fault.severity in (Severity.DISABLED, Severity.STOP, Severity.PAUSE))


def test_of_several_the_most_severe_is_shown_and_all_are_named() -> None:
    faults = Faults()
    for code in reversed(CODES):
        faults.begin(code)
        assert faults.worst == code
    assert list(faults.codes) == CODES
    assert faults.disabling
    assert faults.blocking


# What ends them


def lasts_s(faults: Faults, code: str, now: float) -> float:
    """How long a fault still stands when its cause ends now and nobody does anything."""
    faults.end(code, now)
    at = faults.step(now)
    if code not in faults.codes:
        return 0.0
    if at < inf:
        faults.step(at - 0.001)
        assert code in faults.codes
        faults.step(at)
        assert code not in faults.codes
    return at - now


RULES = {
    Clears.CAUSE: 0.0,
    Clears.PAUSE: 30.0,
    Clears.RECLOSE: 900.0,
    Clears.UNPLUG: inf,
    Clears.RESTART: inf,
}


@pytest.mark.parametrize("code", CODES)
def test_it_stays_while_its_cause_is_there_and_then_as_long_as_its_rule_says(code: str) -> None:
    faults = Faults()
    faults.begin(code)
    assert faults.step(1e7) == inf
    assert faults.codes == (code,)
    assert lasts_s(faults, code, 1e7) == RULES[BY_CODE[code].clears]


@pytest.mark.parametrize("code", by_rule(Clears.PAUSE) + by_rule(Clears.RECLOSE))
def test_a_cause_that_comes_back_meanwhile_begins_the_pause_anew(code: str) -> None:
    faults, pause_s = Faults(), RULES[BY_CODE[code].clears]
    faults.begin(code)
    faults.end(code, 100.0)
    faults.step(100.0 + pause_s - 1.0)
    assert faults.begin(code), "its cause is there anew"
    faults.step(200.0 + pause_s)
    assert faults.codes == (code,)
    assert lasts_s(faults, code, 5000.0) == pause_s


@pytest.mark.parametrize("code", CODES)
def test_what_an_unplug_ends(code: str) -> None:
    """What the vehicle brought, once its cause is gone; and a fault of the station stays."""
    faults = Faults()
    faults.begin(code)
    faults.end(code, 0.0)
    faults.on_unplugged()
    faults.step(0.0)
    assert (code in faults.codes) == (BY_CODE[code].clears in (Clears.PAUSE, Clears.RESTART))


@pytest.mark.parametrize("code", sorted(set(CODES) - set(by_rule(Clears.UNPLUG))))
def test_a_cause_that_is_still_there_outlives_the_unplug(code: str) -> None:
    """A ground sensor lets go a moment after the vehicle has left: then its fault has left with it."""
    faults = Faults()
    faults.begin(code)
    faults.on_unplugged()
    assert faults.codes == (code,)
    assert not faults.begin(code)
    rule = BY_CODE[code].clears
    assert lasts_s(faults, code, 5.0) == (0.0 if rule is Clears.RECLOSE else RULES[rule])


@pytest.mark.parametrize("code", by_rule(Clears.RECLOSE))
def test_it_is_reclosed_four_times_with_one_vehicle_and_then_only_for_another(code: str) -> None:
    faults, now = Faults(), 0.0
    for _ in range(RECLOSE_TRIES):
        faults.begin(code)
        assert lasts_s(faults, code, now) == RECLOSE_S
        now += RECLOSE_S + 60.0
    assert RECLOSE_TRIES == 4
    faults.begin(code)
    assert lasts_s(faults, code, now) == inf
    faults.on_unplugged()
    assert faults.codes == ()
    faults.begin(code)
    assert lasts_s(faults, code, now) == RECLOSE_S, "the next vehicle has all its tries"


@pytest.mark.parametrize("code", by_rule(Clears.RECLOSE))
def test_one_that_is_final_is_not_reclosed_but_ends_with_the_vehicle(code: str) -> None:
    faults = Faults()
    faults.begin(code, final=True)
    assert lasts_s(faults, code, 0.0) == inf
    faults.on_unplugged()
    assert faults.codes == ()


def test_the_next_time_at_which_one_clears_is_told() -> None:
    faults = Faults()
    for code, gone_at in (("meter", 7.0), ("diode", 5.0), ("ground_fault", 1.0), ("overdraw", 0.0)):
        faults.begin(code)
        faults.end(code, gone_at)
    assert faults.step(10.0) == 5.0 + ERROR_PAUSE_S
    assert faults.step(35.0) == 7.0 + ERROR_PAUSE_S
    assert faults.step(37.0) == 1.0 + RECLOSE_S
    assert faults.step(901.0) == inf
    assert faults.codes == ("overdraw",)


ACTS = st.tuples(
    st.sampled_from(["begin", "final", "end", "step", "unplug"]), st.sampled_from(CODES), st.floats(0.0, 1000.0)
)


@given(acts=st.lists(ACTS, max_size=60))
def test_whatever_happens_a_cause_that_is_there_shows_and_the_worst_is_the_first(
    acts: list[tuple[str, str, float]],
) -> None:
    faults, now, there = Faults(), 0.0, set[str]()
    for act, code, later_s in acts:
        now += later_s
        match act:
            case "begin" | "final":
                faults.begin(code, final=act == "final")
                there.add(code)
            case "end":
                assert faults.end(code, now) == (code in there)
                there.discard(code)
            case "step":
                assert faults.step(now) > now
            case "unplug":
                faults.on_unplugged()
                there -= set(by_rule(Clears.UNPLUG))
        assert there <= set(faults.codes)
        assert list(faults.codes) == [code for code in CODES if code in faults.codes]
        assert faults.worst == (faults.codes[0] if faults.codes else "")
    for code in there:
        faults.end(code, now)
    faults.on_unplugged()
    faults.step(now + RECLOSE_S)
    assert {BY_CODE[code].clears for code in faults.codes} <= {Clears.RESTART}
