"""What the live screen asks and explains."""

from collections.abc import Sequence
from typing import ClassVar, NamedTuple

from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from firmware.lamp import INDICATIONS


class Choice(NamedTuple):
    """One line of a list."""

    word: str
    """What is chosen."""
    says: str
    """What it means, beside the word."""
    marked: bool = False


class Choose(ModalScreen[str | None]):
    """A list to choose a word from; None when nothing was chosen."""

    DEFAULT_CSS = """
    Choose { align: center middle; }
    Choose OptionList, Choose OptionList:focus {
        width: 100%; max-width: 100; height: auto; max-height: 100%; border: round $primary;
        text-wrap: nowrap; text-overflow: ellipsis;
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,q", "dismiss(None)", "Back")]

    def __init__(self, title: str, choices: Sequence[Choice], at: str, quick: bool = False) -> None:
        """`at`: the word to begin at. A typed letter goes to the next word that begins with it; `quick`: and
        chooses it."""
        super().__init__()
        self._title = title
        self._choices = choices
        self._at = at
        self._quick = quick

    def compose(self) -> ComposeResult:
        width = max(len(choice.word) for choice in self._choices)
        yield OptionList(*(Option(_line(choice, width), id=choice.word) for choice in self._choices))

    def on_mount(self) -> None:
        options = self.query_one(OptionList)
        options.border_title = self._title
        options.border_subtitle = "Enter chooses, Escape goes back"
        options.highlighted = options.get_option_index(self._at)

    def on_option_list_option_selected(self, chosen: OptionList.OptionSelected) -> None:
        self.dismiss(chosen.option_id)

    def on_key(self, event: events.Key) -> None:
        letter = (event.character or "").lower()
        if not letter.isalnum():
            return
        options = self.query_one(OptionList)
        here = options.highlighted or 0
        places = [*range(here + 1, len(self._choices)), *range(here + 1)]
        for place in places:
            if self._choices[place].word.lower().startswith(letter):
                event.stop()
                event.prevent_default()
                options.highlighted = place
                if self._quick:
                    self.dismiss(self._choices[place].word)
                return


def _line(choice: Choice, width: int) -> Content:
    mark = ("✔ ", "bold $success") if choice.marked else "  "
    return Content.assemble(mark, (f"{choice.word:<{width}}  ", "bold"), choice.says)


_HELP = """\
1-9 arrows tab  choose a station
s               turn its rotary switch; + and - by one position
p u             plug a vehicle in, unplug it
f               break something; choose it again to mend it
c               mend all that was broken at this station
q Ctrl-C        end the bench

State: A no vehicle, B connected, C asks, D asks and needs ventilation,
       E pilot at 0 V, F not available; 1 steady pilot, 2 it offers current
Bar:   drawn █, offered ▒, the model's rating ·
Lamp:
"""


class Help(ModalScreen[None]):
    """Keys, states and lamps; any key closes it."""

    DEFAULT_CSS = """
    Help { align: center middle; }
    Help Static { width: 80; max-width: 100%; height: auto; max-height: 100%; border: round $primary; padding: 0 1; }
    """

    def compose(self) -> ComposeResult:
        lamps = "\n".join(f"  {row.light.words:<8} {row.sentence}" for row in INDICATIONS)
        faults = "\n  amber    A fault of the group, or a warning.\n  red      A fault of this station or its vehicle."
        yield Static(_HELP + lamps + faults, markup=False)

    def on_key(self, event: events.Key) -> None:
        event.stop()
        self.dismiss()
