"""Steps of the model walked through the firmware, which must do at each what the model says."""

from collections.abc import Sequence
from dataclasses import replace
from math import inf
from unittest.mock import patch

from firmware.bus import messages as msg
from firmware.bus.messages import HOLDS, Identity
from firmware.sharing import ledger
from firmware.sharing.ledger import Row as LedgerRow
from firmware.timing import Timing
from tests.model.circuit import Circuit, Model
from tests.model.lease_model import Action, Grant, Member, Row, Status
from tests.model.retold import ALL
from tests.model.rig import LIMIT_DA, Desk, Process
from tests.model.rules import TICK_S, Bounds, Rules, slowest


def _index(kept: Sequence[Grant | Status], message: Grant | Status) -> int:
    """Where the message of this session and number is; what a weakened model has put into it may differ. ValueError
    when there is none."""
    return [other[:2] for other in kept].index(message[:2])


def _has(kept: Sequence[Grant | Status], message: Grant | Status) -> bool:
    return message[:2] in [other[:2] for other in kept]


class Replay:
    """The model and the firmware side by side. Actions are the model's, with the message in place of its index."""

    def __init__(self, timing: Timing, members: int) -> None:
        self.timing = timing
        bounds = Bounds(members, limit=LIMIT_DA // 10, polls=ALL, statuses=ALL)
        self.model = Model(replace(slowest(Rules.of(timing)), pauses=True), bounds, rank=False)
        self.circuit: Circuit = self.model.first
        self.now = 0.0
        self.desk = Desk(timing)
        self.processes = [Process(i + 1, timing) for i in range(members)]
        self._former: list[Identity | None] = [None] * members
        self._first_poll = [b""] * members
        self._frames: dict[tuple[int, type, tuple[int, int]], bytes] = {}
        """By member, kind, session and number."""

    def member(self, i: int) -> Member:
        return self.model.member(self.circuit.members[i])

    @patch.object(ledger, "AGREES_S", inf)  # the model has no meters: here none ever contradicts, however old
    def do(self, action: tuple[object, ...]) -> bool:
        """One step of both; False when it can't be done here, as what a weakened model did before it is refused."""
        if action[0] == "tick":
            self._tick()
        elif action[0] == "restart_primary":
            self.circuit = self._model("restart_primary")
            self.desk.start(self.now)
        else:
            i, kind = action[0], action[1]
            assert isinstance(i, int)
            if not self._may(self.member(i), action[1:]):
                return False
            getattr(self, f"_{kind}")(i, *action[2:])
        self.compare()
        return True

    def _may(self, member: Member, action: tuple[object, ...]) -> bool:
        match action:
            case ("poll", *_):
                return member.row is not None and member.row.session > 0
            case ("enrol", _):
                return not member.session
            case ("hear_old_poll", _):
                return member.session > 0
            case ("hear_poll", Grant() as grant, _):
                return _has(member.polls, grant)
            case ("hear_status", Status() as status):
                return _has(member.statuses, status)
            case ("restart",):
                return member.former is None
            case ("run",):
                return self.model.protocol.late(member)
        return True

    def _model(self, *action: str | int) -> Circuit:
        return self.model.apply(self.circuit, action)

    # Time

    def _tick(self) -> None:
        before = self.now
        late = [self.model.protocol.late(self.member(i)) for i in range(len(self.processes))]
        self.circuit = self.model.apply(self.circuit, ("tick",))
        self.now += TICK_S
        for i, process in enumerate(self.processes):
            due = self.model.protocol.late(self.member(i))
            if not late[i]:
                process.run(before, min(self.now, process.due_at) if due else self.now)
            if not due:
                process.step(self.now)
            process.outlet.now = self.now
        self.desk.step(self.now)

    # A member's steps

    def _enrol(self, i: int, heard: bool) -> None:
        self.circuit = self._model(i, "enrol", heard)
        identity = self.processes[i].identity
        if self.desk.enrol(self.processes[i], heard, self.now):
            self._first_poll[i] = self.desk.poll(identity, 0, self.now)

    def _poll(self, i: int, amps: int, kept: bool) -> None:
        amps = min(amps, self.model.free(self.circuit, i))
        frame = self.desk.poll(self.processes[i].identity, amps * 10, self.now)
        self.circuit = self._model(i, "poll", amps if amps >= 6 else 0, kept)
        poll = msg.decode_poll(frame)
        assert poll
        if kept:
            sent = self.member(i).polls[-1]
            assert (poll.grant.number, poll.grant.question) == (sent.number, sent.question)
            assert poll.grant.amps_da == sent.amps * 10
            self._frames[i, Grant, sent[:2]] = frame

    def _hear_poll(self, i: int, grant: Grant, kept: bool) -> None:
        frame = self._frames[i, Grant, grant[:2]]
        self._answer(i, frame, ("hear_poll", _index(self.member(i).polls, grant)), kept)

    def _hear_old_poll(self, i: int, kept: bool) -> None:
        self._answer(i, self._first_poll[i], ("hear_old_poll",), kept)

    def _answer(self, i: int, frame: bytes, action: Action, kept: bool) -> None:
        """A poll is heard, and answered or not, by both."""
        before = self.member(i)
        self.circuit = self._model(i, *action, True)
        said = self.processes[i].hear(frame, self.now)
        statuses = self.member(i).statuses
        assert len(said) == len(statuses) - len(before.statuses)
        if said:
            status = statuses[-1]
            told = msg.STATUS.unpack(said[0][3 : 3 + msg.STATUS.size])
            assert told[:2] == (status.question, status.granted)
            assert (bool(told[2] & HOLDS), told[3]) == (status.holds, status.offered * 10)
            self._frames[i, Status, status[:2]] = said[0]
            if not kept:
                self._forget(i, status)

    def _forget(self, i: int, status: Status) -> None:
        member = self.member(i)
        member = member._replace(statuses=tuple([other for other in member.statuses if other != status]))
        members = self.circuit.members
        self.circuit = self.circuit._replace(members=(*members[:i], self.model.number(member), *members[i + 1 :]))

    def _hear_status(self, i: int, status: Status) -> None:
        self.circuit = self._model(i, "hear_status", _index(self.member(i).statuses, status))
        self.desk.hear(self._frames[i, Status, status[:2]], self.now)

    def _run(self, i: int) -> None:
        self.circuit = self._model(i, "run")
        self.processes[i].step(self.now)

    def _open(self, i: int) -> None:
        self.circuit = self._model(i, "open")
        self.processes[i].let_go(self.now)

    def _restart(self, i: int) -> None:
        self.circuit = self._model(i, "restart")
        self._former[i] = self.processes[i].identity if self.member(i).former else None
        self.processes[i].start(self.now)

    # What both must agree on

    def compare(self) -> None:
        """Everything that the model has a word for; and the promise, by what the vehicles may draw."""
        assert self.desk.gives == self.model.gives(self.circuit)
        possible = [process.outlet.possible_da() for process in self.processes]
        assert sum(possible) <= LIMIT_DA, possible
        for i, process in enumerate(self.processes):
            member = self.member(i)
            self._compare_station(member, process)
            assert possible[i] <= member.draw * 10
            row = self.desk.row(process.identity)
            self._compare_row(member.row, row)
            if member.former:
                identity = self._former[i]
                assert identity
                self._compare_row(member.former, self.desk.row(identity))
            if row and self.desk.gives:
                free_da = self.desk.primary.group.ledger.free_da(row, self.desk.local(self.now))
                assert free_da == self.model.free(self.circuit, i) * 10

    def _compare_station(self, member: Member, process: Process) -> None:
        station = process.station
        assert process.secondary.enrolled == (member.session > 0)
        assert (station.holder.amps_da, station.offered_da) == (member.amps * 10, member.pilot * 10)
        assert station.closed == member.closed
        if member.session:
            assert (station.holder.question, station.holder.number) == (member.question, member.number)

    def _compare_row(self, expected: Row | None, row: LedgerRow | None) -> None:
        assert (expected is None) == (row is None)
        if expected and row:
            exposure_da = row.exposure_da(self.desk.local(self.now))
            assert (row.number, exposure_da) == (expected.number, expected.exposure * 10)
            assert row.answered == expected.answered or not expected.session
