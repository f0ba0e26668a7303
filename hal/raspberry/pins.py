"""GPIO pins through gpiozero on lgpio, and what people are told when they can't be had."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

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
        hints = (hint for words, hint in _LGPIO_HINTS.items() if words in str(error).lower())
        raise BoardGone(f"{what} can't be used: {error}{next(hints, '')}") from None


@contextmanager
def claimed(what: str) -> Iterator[ExitStack]:
    """Where all that is claimed for `what` goes: its `close` gives it back. Raises `BoardGone` where one of it can't be
    had; what was claimed before has been given back then."""
    held = ExitStack()
    with told(what):
        try:
            yield held
        except BaseException:
            held.close()
            raise


_LGPIO_HINTS = {
    "busy": ": another process holds it",
    "can not open gpiochip": ": add this user to the group gpio, which /dev/gpiochip* belong to",
}
