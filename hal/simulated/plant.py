"""The physical truth of one station: pilot, contactor, vehicle, sensors, lamp, rotary switch and dead-man.

Clockless: every verb takes `now` (absolute seconds that never go back). Driver verbs are what the station's
outputs do, plant verbs what the world does to it. Reads are right after any verb and hold until
`next_wakeup()`; hooks are called from `step()` only, so a driver verb never calls back into the firmware
that uttered it. Ask for `next_wakeup()` again after every verb.
"""

from collections.abc import Callable
from math import inf
from typing import Final, NamedTuple

from hal.api import Colour, Inputs, Light
from hal.simulated.circuit import Drive, duty_to_amps, plateaus
from hal.simulated.defects import HOT_C, Defects
from hal.simulated.lag import Lag
from hal.simulated.vehicle import Vehicle
from hal.simulated.vehicle_spec import VehicleSpec

CONTACTOR_S: Final = 0.03  # I: travel of the contactor, either way
TRIP_S: Final = 0.025  # I: from leakage, or from driving the test winding, to the trip
RELEASE_S: Final = 0.05  # I: from its end to the trip's
DEAD_MAN_S: Final = 1.0  # outputs are let go this long after the last refresh


class Snapshot(NamedTuple):
    """What an onlooker sees of a station."""

    letter: str
    """Pilot state A..F."""
    pwm: bool
    offered_a: float
    drawn_a: float
    contactor_closed: bool


class Plant:
    """One station's hardware and what is plugged into it."""

    __slots__ = (
        "_coil",
        "_contactor",
        "_deadline",
        "_defects",
        "_drive",
        "_due",
        "_duty",
        "_energy_kwh",
        "_held",
        "_leaves_at",
        "_offered_a",
        "_sensor",
        "_switch",
        "_testing",
        "_told_current",
        "_told_inputs",
        "_untold",
        "_vehicle",
        "current_a",
        "dead_man_s",
        "drops",
        "inputs",
        "light",
        "on_current",
        "on_inputs",
        "voltage_v",
    )

    inputs: Inputs
    """What the board senses."""
    current_a: float
    """True current to the vehicle."""
    drops: int
    """How often held outputs have been let go, by the dead-man or with the supply."""
    light: Light
    """What the lamp shows."""
    on_inputs: Callable[[Inputs], None]
    """Called with the new inputs when they have changed."""
    on_current: Callable[[], None]
    """Called after each change of `current_a`; a climb or a taper comes in steps of at most 0.1 A."""

    def __init__(
        self, switch: int, voltage_v: float = 240.0, dead_man_s: float = DEAD_MAN_S, powered: bool = True
    ) -> None:
        self.voltage_v = voltage_v
        self.dead_man_s = dead_man_s
        self.drops = 0
        self.on_inputs = _ignore_inputs
        self.on_current = _ignore_current
        self._switch = _position(switch)
        self._drive = Drive.STEADY if powered else Drive.OFF
        self._duty = 0.0
        self._offered_a = 0.0
        self._coil = False  # what it is told
        self._contactor = Lag(CONTACTOR_S, CONTACTOR_S)
        self._testing = False
        self._sensor = Lag(TRIP_S, RELEASE_S)
        self.light = Light(Colour.OFF)
        self._held = False
        self._defects = Defects()
        self._vehicle: Vehicle | None = None
        self._energy_kwh = 0.0  # of the vehicles that have left
        self._deadline = self._leaves_at = self._due = self._untold = inf
        self._sense(-inf)
        self._told_inputs, self._told_current = self.inputs, 0.0

    # Time

    def next_wakeup(self) -> float:
        """When something happens by itself or a hook is to be called; inf = nothing pending."""
        return min(self._due, self._untold)

    def step(self, now: float) -> None:
        """Everything due by `now`, in order, with the hooks called after each."""
        while (due := min(self._due, self._untold)) <= now:
            if self._due <= due:
                self._run(due)
            self._tell()

    # Driver verbs: what the station's outputs do. Ignored while the dead-man has let go.

    def pilot_steady(self, now: float) -> None:
        """+12 V direct current."""
        self._generate(Drive.STEADY, 0.0, now)

    def pilot_pwm(self, duty: float, now: float) -> None:
        """1 kHz square wave, high for `duty` percent."""
        self._generate(Drive.PWM, duty, now)

    def pilot_fault(self, now: float) -> None:
        """-12 V direct current."""
        self._generate(Drive.FAULT, 0.0, now)

    def contactor_close(self, now: float) -> None:
        self._pull(True, now)

    def contactor_open(self, now: float) -> None:
        self._pull(False, now)

    def ground_fault_test(self, on: bool, now: float) -> None:
        """Drive the test winding of the ground-fault sensor, or no longer."""
        self._catch_up(now)
        if self._held:
            self._testing = on
            self._changed(now)

    def show(self, light: Light) -> None:
        """The lamp; no dead-man holds it."""
        if self._drive is not Drive.OFF:
            self.light = light

    def refresh(self, now: float) -> bool:
        """Hold the outputs until `dead_man_s` from now. False when nothing held them until now: they are
        safe, whatever was asked before, and verbs count from now on."""
        held = self.hold(now)
        self.release_hold(now)
        return held

    def hold(self, now: float) -> bool:
        """A process refreshes the dead-man from now on without a gap. Returns what `refresh` does. Nothing
        holds a board without power."""
        self._catch_up(now)
        held = self._held
        self._held = self._drive is not Drive.OFF
        self._deadline = inf
        self._plan()
        return held

    def release_hold(self, now: float) -> None:
        """The last refresh was now: the outputs are let go `dead_man_s` later unless held again."""
        self._catch_up(now)
        if self._held:
            self._deadline = now + self.dead_man_s
            self._plan()

    # Plant verbs: what the world does to it

    def plug(self, spec: VehicleSpec, now: float) -> None:
        """Plug a vehicle in. Raises ValueError when there is one."""
        if self._vehicle is not None:
            raise ValueError(f"{self._vehicle.spec.name} is plugged in already")
        self._catch_up(now)
        vehicle = self._vehicle = Vehicle(spec, self.voltage_v, now)
        vehicle.overdraw("overdraw" in self._defects, now)
        if self._contactor.value:
            vehicle.on_contactor(True, now)
        vehicle.on_pilot(self._visible_a(), now)
        self._changed(now)

    def unplug(self, now: float) -> None:
        """Take the vehicle away: after its driver has pressed S3 where it has one, else and at the second call
        drawing or not. Raises ValueError when there is none."""
        if self._vehicle is None:
            raise ValueError("no vehicle is plugged in")
        self._catch_up(now)
        if self._vehicle.spec.s3_s and self._leaves_at == inf:
            self._vehicle.press_s3(now)
            self._leaves_at = now + self._vehicle.spec.s3_s
        else:
            self._leave(now)
        self._changed(now)

    def _leave(self, now: float) -> None:
        assert self._vehicle is not None
        self._energy_kwh += self._vehicle.energy_kwh(now)
        self._vehicle, self._leaves_at = None, inf

    def turn(self, position: int, now: float) -> None:
        """Turn the rotary switch to 0..15; ValueError beyond."""
        self._switch = _position(position)
        self._catch_up(now)
        self._changed(now)

    def inject(self, kind: str, now: float, celsius: float = HOT_C) -> None:
        """Break something, one of `hal.simulated.defects.FAULT_KINDS`; ValueError for any other. Twice is as once.
        `celsius`: what "over_temperature" heats the station to."""
        self._set_fault(kind, True, now, celsius)

    def clear(self, kind: str, now: float) -> None:
        """Mend it; nothing when it was whole. ValueError for an unknown kind."""
        self._set_fault(kind, False, now)

    def power_off(self, now: float) -> None:
        """The board loses its supply: outputs are let go at once, the pilot falls to 0 V."""
        self._catch_up(now)
        self._let_go(now)
        self._drive = Drive.OFF
        self.light = Light(Colour.OFF)
        self._changed(now)

    def power_on(self, now: float) -> None:
        """The supply is back; outputs are safe and nothing holds them yet."""
        self._catch_up(now)
        if self._drive is Drive.OFF:
            self._drive = Drive.STEADY
            self._changed(now)

    # Reads

    @property
    def powered(self) -> bool:
        return self._drive is not Drive.OFF

    @property
    def held(self) -> bool:
        """Somebody holds the outputs: the dead-man was refreshed in time."""
        return self._held

    @property
    def connected(self) -> bool:
        return self._vehicle is not None

    @property
    def vehicle(self) -> VehicleSpec | None:
        return None if self._vehicle is None else self._vehicle.spec

    @property
    def contactor_closed(self) -> bool:
        return self._contactor.value

    @property
    def faults(self) -> frozenset[str]:
        """What is broken, by the words of `FAULT_KINDS`."""
        return frozenset(self._defects.kinds)

    @property
    def switch(self) -> int:
        """Where the rotary switch stands, readable or not."""
        return self._switch

    @property
    def duty(self) -> float:
        """Duty cycle of the pilot (percent), 0.0 when it is steady."""
        return self._duty

    @property
    def offered_a(self) -> float:
        """What the generator advertises now, 0.0 when PWM is off."""
        return self._offered_a

    @property
    def meter_a(self) -> float:
        """What the meter shows; NaN when it does not answer."""
        return self._defects.metered_a(self.current_a)

    @property
    def celsius(self) -> float:
        """What the thermometer shows; NaN when it does not answer."""
        return self._defects.celsius

    @property
    def possible_a(self) -> float:
        """The most the vehicle may draw now, by the contactor and what it has seen of the pilot."""
        return 0.0 if self._vehicle is None else self._vehicle.possible_a

    def full(self, now: float) -> bool:
        """Whether a vehicle is there that can take no more."""
        return self._vehicle is not None and self._vehicle.soc(now) >= 1.0

    @property
    def letter(self) -> str:
        """Pilot state A..F as it really is."""
        if self._drive is Drive.OFF or "pilot_short" in self._defects:
            return "E"
        if self._drive is Drive.FAULT:
            return "F"
        return "A" if self._vehicle is None else self._vehicle.letter

    def energy_kwh(self, now: float) -> float:
        """Delivered since the plant began, to all its vehicles."""
        return self._energy_kwh + (0.0 if self._vehicle is None else self._vehicle.energy_kwh(now))

    def snapshot(self) -> Snapshot:
        pwm = self._drive is Drive.PWM
        return Snapshot(self.letter, pwm, self._offered_a, self.current_a, self._contactor.value)

    # Insides

    def _generate(self, drive: Drive, duty: float, now: float) -> None:
        self._catch_up(now)
        if self._held and (drive, duty) != (self._drive, self._duty):
            self._drive, self._duty = drive, duty
            self._advertise(now)
            self._changed(now)

    def _advertise(self, now: float) -> None:
        """Bring what the vehicle sees up to date with the generator and the line."""
        self._offered_a = duty_to_amps(self._duty) if self._drive is Drive.PWM else 0.0
        if self._vehicle is not None:
            self._vehicle.on_pilot(self._visible_a(), now)

    def _visible_a(self) -> float:
        return 0.0 if "pilot_short" in self._defects else self._offered_a

    def _pull(self, coil: bool, now: float) -> None:
        self._catch_up(now)
        if self._held:
            self._coil = coil
            self._drive_contacts(now)
            self._plan()

    def _drive_contacts(self, now: float) -> None:
        """The coil moves the contacts, unless they do not close, do not stay closed, or are welded."""
        self._contactor.want(self._defects.contacts(self._coil, self._contactor.value), now)

    def _arrive(self, now: float) -> None:
        self._contactor.arrive()
        self._drive_contacts(now)
        if self._vehicle is not None:
            self._vehicle.on_contactor(self._contactor.value, now)

    def _let_go(self, now: float) -> None:
        """The dead-man acts, or the supply is gone."""
        self.drops += self._held
        self._held = False
        self._deadline = inf
        self._coil = self._testing = False
        self._drive_contacts(now)
        if self._drive is not Drive.OFF:
            self._drive, self._duty = Drive.STEADY, 0.0
            self._advertise(now)

    def _set_fault(self, kind: str, on: bool, now: float, celsius: float = HOT_C) -> None:
        self._catch_up(now)
        self._defects.change(kind, on, celsius)
        self._drive_contacts(now)
        self._advertise(now)
        if self._vehicle is not None and kind == "overdraw":
            self._vehicle.overdraw(on, now)
        self._changed(now)

    def _catch_up(self, now: float) -> None:
        """What is due comes before what is asked now; the hooks hear of it in the next step."""
        while self._due <= now:
            self._run(self._due)
            self._untold = min(self._untold, now)

    def _run(self, now: float) -> None:
        if self._deadline <= now:
            self._let_go(now)
        if self._contactor.due <= now:
            self._arrive(now)
        if self._sensor.due <= now:
            self._sensor.arrive()
        if self._leaves_at <= now:
            self._leave(now)
        if self._vehicle is not None and self._vehicle.next_wakeup() <= now:
            self._vehicle.step(now)
        self._sense(now)
        self._plan()

    def _changed(self, now: float) -> None:
        self._untold = min(self._untold, now)
        self._sense(now)
        self._plan()

    def _sense(self, now: float) -> None:
        """Bring the reads up to date."""
        vehicle, closed = self._vehicle, self._contactor.value
        self.current_a = 0.0 if vehicle is None else vehicle.current_a
        pilot = plateaus(self._drive, None if vehicle is None else vehicle.ohm, self._defects.of_pilot)
        switch = None if "switch_unreadable" in self._defects else self._switch
        if self._defects.kinds or self._testing or self._sensor.value or self._sensor.due < inf:
            self._sensor.want(self._defects.leaks(closed, self._testing), now)
        grounded = not closed or "no_ground" not in self._defects
        self.inputs = Inputs(switch, pilot, closed, self._sensor.value, grounded)

    def _plan(self) -> None:
        vehicle = inf if self._vehicle is None else self._vehicle.next_wakeup()
        self._due = min(self._deadline, self._contactor.due, self._sensor.due, self._leaves_at, vehicle)

    def _tell(self) -> None:
        self._untold = inf
        if self.current_a != self._told_current:
            self._told_current = self.current_a
            self.on_current()
        if self.inputs != self._told_inputs:
            self._told_inputs = self.inputs
            self.on_inputs(self.inputs)


def _position(position: int) -> int:
    if not 0 <= position <= 15:
        raise ValueError(f"switch position {position}: expected 0 to 15")
    return position


def _ignore_inputs(_: Inputs) -> None:
    pass


def _ignore_current() -> None:
    pass
