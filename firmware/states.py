"""The states of one station, as IEC 61851-1 and SAE J1772 name them, and every way between them.

The letter is what the vehicle shows on the pilot: A none, B connected, C asks, D asks with ventilation, E pilot at
0 V; F the station disables itself with -12 V. The digit is the station's side: 1 steady, not ready to supply; 2 PWM
on. A2 does not occur: the PWM goes off in the very step that sees the vehicle leave.

`python -m firmware.states` draws this table as a Mermaid diagram (firmware/DESIGN.md holds the drawing).
"""

STATES = ("A1", "B1", "B2", "C1", "C2", "D1", "D2", "E", "F")

_LETTERS = {
    "sees_nobody": {"B1": "A1", "B2": "A1", "C1": "A1", "C2": "A1", "D1": "A1", "D2": "A1", "E": "A1"},
    "sees_vehicle": {"A1": "B1", "C1": "B1", "C2": "B2", "D1": "B1", "D2": "B2", "E": "B1"},
    "vehicle_asks": {"A1": "C1", "B1": "C1", "B2": "C2", "D1": "C1", "D2": "C2", "E": "C1"},
    "vehicle_asks_ventilated": {"A1": "D1", "B1": "D1", "B2": "D2", "C1": "D1", "C2": "D2", "E": "D1"},
    "pilot_shorted": {"A1": "E", "B1": "E", "B2": "E", "C1": "E", "C2": "E", "D1": "E", "D2": "E"},
}
_STATION = {
    "pwm_on": {"B1": "B2", "C1": "C2", "D1": "D2"},
    "pwm_off": {"B2": "B1", "C2": "C1", "D2": "D1"},
    "disable": {state: "F" for state in STATES if state != "F"},
    "enable": {"F": "A1"},
}
TRANSITIONS = [
    {"trigger": trigger, "source": source, "dest": dest}
    for trigger, ways in (_LETTERS | _STATION).items()
    for source, dest in ways.items()
]

TRIGGER_OF_LETTER = {
    "A": "sees_nobody",
    "B": "sees_vehicle",
    "C": "vehicle_asks",
    "D": "vehicle_asks_ventilated",
    "E": "pilot_shorted",
}


def diagram() -> str:
    """The table as a Mermaid state diagram, ways between the same two states on one arrow."""
    arrows: dict[tuple[str, str], list[str]] = {}
    for way in TRANSITIONS:
        arrows.setdefault((way["source"], way["dest"]), []).append(way["trigger"])
    lines = [f"    {source} --> {dest}: {', '.join(names)}" for (source, dest), names in arrows.items()]
    return "\n".join(["stateDiagram-v2", "    [*] --> A1", *lines])


if __name__ == "__main__":
    print(diagram())
