"""GPIO pins through gpiozero on lgpio, and what people are told when they can't be had."""

from collections.abc import Iterator
from contextlib import contextmanager

from gpiozero import GPIOZeroError
from gpiozero.pins import Factory

from hal.api import BoardGone


def real_pins() -> Factory:
    """The Pi's own, by the kernel's gpiochip alone: gpiozero would fall back to other drivers, which know no edges of a
    Pi 5 or stop at the end of a process in other ways. Raises `BoardGone`."""
    with told("the pins of this machine"):
        from gpiozero.pins.lgpio import LGPIOFactory

        return LGPIOFactory()


@contextmanager
def told(what: str) -> Iterator[None]:
    """Whatever keeps `what` from being used becomes a `BoardGone` with a sentence."""
    try:
        yield
    except ImportError as error:
        raise BoardGone(
            f"{what} can't be used: {error.name} is not installed (apt-get install python3-lgpio)"
        ) from None
    except PermissionError as error:
        raise BoardGone(f"{what} can't be used: {error}: add this user to the group gpio") from None
    except (GPIOZeroError, OSError) as error:
        raise BoardGone(f"{what} can't be used: {' '.join(str(error).split())}") from None
    except Exception as error:
        if type(error).__module__ != "lgpio":  # lgpio.error has no base of its own
            raise
        hint = ": another process holds it" if "busy" in str(error).lower() else ""
        raise BoardGone(f"{what} can't be used: {error}{hint}") from None
