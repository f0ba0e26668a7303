"""Finding stations that nothing tells apart but a serial number (after ANSI E1.20, section 7).

The primary asks for all serials with certain low bits: silence = nobody, a clean answer = one candidate, garbage
= several, so ask for one bit more. From the low bits up, because the serials of one batch share their high bits.
A strong driver can mask a weak one, so all are asked for again until nobody answers.
"""

from typing import NamedTuple

from firmware.bus.messages import Identity

SERIAL_BITS = 48
_TWIN_PROOFS = 3  # garbage at full depth this often in a row is two stations of one serial, not noise


class Branch(NamedTuple):
    """All serials whose low `depth` bits are `bits`."""

    bits: int
    depth: int
    guessed: bool
    """Its parent was not asked: the parent's sibling was silent, so the two or more had to be in the parent."""

    def holds(self, station: Identity) -> bool:
        return station.serial & ((1 << self.depth) - 1) == self.bits


ROOT = Branch(0, 0, guessed=False)


class Search:
    """One search through the tree of serials, a probe at a time; it ends with a silent answer for all serials."""

    __slots__ = ("_found", "_proofs", "_stack")

    def __init__(self) -> None:
        self._stack = [ROOT]
        self._proofs = 0
        self._found = False
        """Somebody has been found since all serials were asked for last."""

    @property
    def branch(self) -> Branch | None:
        """What to ask for next; None when the search is over."""
        return self._stack[-1] if self._stack else None

    def on_silence(self) -> None:
        """Nobody is there. Where several are known to be in two halves and the first is empty, they are all in
        the second: split that without asking. One guess deep only, as the garbage may have been noise."""
        branch = self._pop()
        is_first_half = branch.depth > 0 and not branch.bits >> (branch.depth - 1)
        if is_first_half and not branch.guessed and branch.depth < SERIAL_BITS:
            self._split(self._stack.pop(), guessed=True)

    def on_found(self) -> None:
        """One station answered and is mute now. What it may have masked is found when all are asked again."""
        self._found = True
        self._pop()

    def on_garbage(self) -> int | None:
        """Several answered at once. Returns the serial that two of them share, when that is proved."""
        branch = self._stack[-1]
        if branch.depth < SERIAL_BITS:
            self._split(self._stack.pop(), guessed=False)
            return None
        self._proofs += 1
        if self._proofs < _TWIN_PROOFS:
            return None
        self._pop()
        return branch.bits

    def _split(self, branch: Branch, guessed: bool) -> None:
        for bit in (1, 0):
            bits = branch.bits | bit << branch.depth
            self._stack.append(Branch(bits, branch.depth + 1, guessed))

    def _pop(self) -> Branch:
        branch = self._stack.pop()
        self._proofs = 0
        if not self._stack and self._found:
            self._stack.append(ROOT)
            self._found = False
        return branch
