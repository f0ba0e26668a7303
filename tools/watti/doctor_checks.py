"""The order in which `watti doctor` tries the parts of a board: what others need comes first."""

from watti import doctor_bus, doctor_outputs, doctor_sensors
from watti.doctor_exam import Check

CHECKS = (
    Check("adc", doctor_sensors.adc),
    Check("dead-man holds", doctor_outputs.dead_man),
    Check("pilot +12 V", doctor_sensors.pilot, ("adc", "dead-man holds")),
    Check("switch", doctor_sensors.switch),
    Check("ground fault", doctor_outputs.ground_fault, ("dead-man holds",)),
    Check("contactor", doctor_outputs.contactor),
    Check(
        "contactor closes",
        doctor_outputs.closing,
        ("dead-man holds", "dead-man lets go", "pilot +12 V", "ground fault", "contactor"),
    ),
    Check("meter", doctor_sensors.meter),
    Check("thermometer", doctor_sensors.thermometer),
    Check("lamp", doctor_outputs.lamp),
    Check("together", doctor_outputs.together, ("pilot +12 V", "ground fault", "contactor")),
    Check("bus port", doctor_bus.bus),
)
