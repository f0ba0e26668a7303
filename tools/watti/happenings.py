"""What happens in a scenario, in words."""

from firmware.rotary import Chart
from watti.scenario import Event

_WORDS = {
    "unplug": "the vehicle is unplugged",
    "power_off": "power goes",
    "power_on": "power comes back",
    "restart": "the process restarts",
    "bus_cut": "cut off the bus",
    "bus_join": "joined to the bus",
}
_DIRECTIONS = {"send": "sending only", "receive": "receiving only"}
_DISTURBANCES = {
    "drop": "frames are lost",
    "duplicate": "frames come twice",
    "delay": "frames come late",
    "truncate": "frames are cut short",
    "echo": "frames come back",
    "babble": "somebody babbles",
}
KINDS = {
    "plug": "vehicle comes",
    "unplug": "vehicle leaves",
    "switch": "switch is turned",
    "power": "power, restart, stall",
    "bus": "bus",
    "fault": "fault injected or mended",
}
"""Groups of events that share a mark."""


def kind(event: Event) -> str:
    """Which of `KINDS` an event is of."""
    if event.do in {"power_off", "power_on", "restart", "stall"}:
        return "power"
    return event.do.removeprefix("clear_").partition("_")[0]


def words(event: Event, chart: Chart) -> str:
    """An event for people, its station left out."""
    args = event.args
    match event.do:
        case "plug":
            return f"{args['vehicle']} is plugged in"
        case "switch":
            return f"switch turned to {args['position']:X}: {_position(args['position'], chart)}"
        case "stall":
            return f"the process stands still for {args['for_s']:g} s"
        case "fault":
            hot = f" ({args['celsius']:g} C)" if "celsius" in args else ""
            return f"{args['kind']}{hot} injected"
        case "clear_fault":
            return f"{args['kind']} mended"
        case "bus_noise":
            return f"bit error rate {args['rate']:g}"
        case "bus_disturb":
            return f"{_DISTURBANCES[args['kind']]}: {args['rate']:.0%} for {args['for_s']:g} s"
    details = (
        _DIRECTIONS.get(args.get("direction", "both")),
        f"another unit, {args['serial']:012X}" if "serial" in args else None,
        args.get("lose_state") and "memory lost",
        args.get("corrupt_state") and "memory corrupt",
    )
    return ", ".join(filter(None, (_WORDS[event.do], *details)))


def _position(position: int, chart: Chart) -> str:
    amps = chart.rows[position].amps
    return "secondary" if amps is None else f"{amps:g} A"
