"""The RS-485 bus: frames, messages, the register map and enrolment."""
