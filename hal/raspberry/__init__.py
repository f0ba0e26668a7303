"""A station's board on a Raspberry Pi: its parts on gpiozero and the kernel's interfaces."""
