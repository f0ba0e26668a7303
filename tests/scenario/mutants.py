"""Bugs to plant, one at a time: `watti torture` has to find each of them, or its judges are blind.

`python -m tests.scenario.mutants` prints the table of firmware/DESIGN.md; names choose rows, `--seeds N` (100) how many
worlds each is looked for in.
"""

import argparse
import inspect
import textwrap
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pkgutil import resolve_name
from typing import Any, NamedTuple
from unittest.mock import patch

from watti.torture.inspector import Verdict
from watti.torture.judging import judge_seed


class Mutant(NamedTuple):
    """A bug: other words at one place of one function of the firmware."""

    name: str
    where: str
    """The function, method or property, by its dotted name."""
    old: str
    """Stands there exactly once."""
    new: str
    bug: str
    """What the station does then; a sentence."""
    within: int
    """One of the seeds from 0 to below this finds it."""
    soonest: int
    """The one of them whose world says so in the least time: it is tried first."""

    @property
    def room(self) -> str:
        """The module it is planted in, as firmware/DESIGN.md names it."""
        return self.function.__module__.removeprefix("firmware.").replace(".", "/")

    @property
    def function(self) -> Callable[..., Any]:
        """The sound one. Raises AttributeError when there is none of that name any more."""
        found = resolve_name(self.where)
        function: Callable[..., Any] = getattr(found, "fget", found)
        return function


LEDGER = "firmware.sharing.ledger"
HOLDER = "firmware.sharing.lease.LeaseHolder"
GROUP = "firmware.sharing.group.Group"
PRIMARY = "firmware.sharing.primary.Primary"
ENROLLER = "firmware.sharing.enroller.Enroller"
SECONDARY = "firmware.sharing.secondary.Secondary"
STATION = "firmware.station.Station"

MUTANTS = (
    Mutant(
        "raise_counts_when_confirmed",
        f"{LEDGER}.Row._promised_da",
        "for _, amps in self._sent:",
        "for _, amps in ():",
        "A raise counts when it is confirmed.",
        15,
        11,
    ),
    Mutant(
        "cut_counts_when_sent",
        f"{LEDGER}.Row.send",
        "self._sent.append((self.number, amps_da))",
        "self._sent, self._confirmed_da = [(self.number, amps_da)], 0",
        "A cut counts when it is sent.",
        10,
        3,
    ),
    Mutant(
        "cut_counts_before_r",
        f"{LEDGER}.Row._confirm",
        "if before > amps_da:",
        "if False:",
        "A cut counts when it is confirmed, without R.",
        10,
        3,
    ),
    Mutant(
        "r_counts_short",
        f"{LEDGER}.Row._confirm",
        "now + self._settle_s",
        "now + self._settle_s - 1.0",
        "R is counted a second short.",
        30,
        11,
    ),
    Mutant(
        "rows_go_early",
        f"{LEDGER}.Ledger.expire",
        "self.timing.release_s",
        "self.timing.lease_s",
        "A station of which nothing is heard counts for a lease only.",
        60,
        57,
    ),
    Mutant(
        "others_are_free",
        f"{LEDGER}.Ledger.free_da",
        "if other is not row:",
        "if False:",
        "A raise does not wait for what the others have.",
        20,
        11,
    ),
    Mutant(
        "lease_from_arrival",
        f"{HOLDER}.accept",
        "asked + grant.lease_ds / 10",
        "now + grant.lease_ds / 10",
        "A lease starts when the grant arrives.",
        60,
        31,
    ),
    Mutant(
        "lease_for_ever",
        f"{HOLDER}.accept",
        "expires if grant.amps_da else inf",
        "inf",
        "A lease does not end.",
        60,
        31,
    ),
    Mutant(
        "no_quiet_start",
        f"{PRIMARY}.__init__",
        "timing.release_s + rng.random()",
        "rng.random()",
        "A primary that starts gives as soon as it likes.",
        10,
        0,
    ),
    Mutant(
        "gives_while_quiet",
        f"{GROUP}.__init__",
        "self.giving = False",
        "self.giving = True",
        "A primary gives before its quiet start is over.",
        5,
        0,
    ),
    Mutant(
        "lost_row_goes",
        f"{GROUP}.lose",
        "self._silent[member.identity] = member",
        "self.ledger.rows.remove(member.row)",
        "What a lost member may still draw is forgotten at once.",
        40,
        31,
    ),
    Mutant(
        "never_planned_again",
        f"{GROUP}.due",
        "self.stale or self._shortage",
        "self._shortage",
        "Shares are not computed anew when somebody comes or goes.",
        5,
        0,
    ),
    Mutant(
        "three_others_only",
        f"{GROUP}.enrol",
        "len(self.secondaries) >= MAX_SECONDARIES",
        "len(self.secondaries) >= MAX_SECONDARIES - 1",
        "A group is full with three secondaries.",
        20,
        18,
    ),
    Mutant(
        "raise_never_comes",
        f"{GROUP}._within_reach_da",
        "return min(target, free)",
        "return given",
        "Nobody is ever granted more than it has.",
        5,
        0,
    ),
    Mutant(
        "shares_stay_low",
        "firmware.sharing.group.shares",
        "water = level(total_da, fed)",
        "water = min(claim.floor_da for claim in fed)",
        "Nobody is given more than the least it can use.",
        10,
        2,
    ),
    Mutant(
        "first_is_favoured",
        "firmware.sharing.group.shares",
        "min(max(water, claim.floor_da), claim.cap_da) for claim in fed",
        "min(max(water - 30 * (i > 0), claim.floor_da), claim.cap_da) for i, claim in enumerate(fed)",
        "All but the first of the group are given less.",
        20,
        13,
    ),
    Mutant(
        "shortage_stops_all",
        "firmware.sharing.fair.served",
        "chosen = [False] * len(claims)\n",
        "return [False] * len(claims)\n",
        "Where not all can be served nobody is.",
        60,
        51,
    ),
    Mutant(
        "turns_of_seconds",
        "firmware.sharing.fair._precedence",
        "claim.turn_s < TURN_S",
        "claim.turn_s < 5.0",
        "Where amps are short turns change each few seconds.",
        60,
        51,
    ),
    Mutant(
        "session_twice",
        "firmware.bus.messages.session_of",
        "*station, counter)",
        "*station, 0)",
        "All enrolments of two lives with each other are one session.",
        5,
        2,
    ),
    Mutant(
        "lost_answer_mutes",
        f"{SECONDARY}._join",
        "now + _FIRST_POLL_S",
        "inf",
        "A station whose answer to its assignment was lost never answers a probe again.",
        40,
        22,
    ),
    Mutant(
        "garbage_is_nobody",
        "firmware.bus.enrolment.Search.on_garbage",
        "if branch.depth < SERIAL_BITS:",
        "if False:",
        "Where several answer at once the search goes on elsewhere.",
        10,
        5,
    ),
    Mutant(
        "one_search_only",
        f"{ENROLLER}.begin",
        "if self._search.branch is None:",
        "if False:",
        "After its first search a primary looks for nobody any more.",
        5,
        0,
    ),
    Mutant(
        "rival_is_ignored",
        f"{PRIMARY}._on_rival",
        "elif self.phase is not Phase.SITTING or sits:",
        "elif False:",
        "A primary that hears another one goes on.",
        40,
        3,
    ),
    Mutant(
        "yields_for_ever",
        f"{PRIMARY}._on_former_rival",
        "serial == self.rivals.serial",
        "False",
        "A primary that has yielded does not start again when the other has become a secondary.",
        60,
        55,
    ),
    Mutant(
        "never_alone",
        f"{SECONDARY}._on_poll",
        "self._lapses_at = now + self._timing.lease_s",
        "self._lapses_at = inf",
        "A station does not notice that it has lost its primary.",
        10,
        8,
    ),
    Mutant(
        "alone_for_ever",
        f"{SECONDARY}._join",
        "self._end_loneliness(now)",
        "pass",
        "A station with a primary still says that it has none.",
        20,
        18,
    ),
    Mutant(
        "closes_in_b",
        f"{STATION}._may_close",
        'self.state in ("C2", "D2")',
        'self.state in ("B2", "C2", "D2")',
        "A station closes on a vehicle that does not ask.",
        5,
        2,
    ),
    Mutant(
        "stays_closed_in_b",
        f"{STATION}._must_open",
        'self.state[0] not in "CD" or self.faults.urgent',
        "self.faults.urgent",
        "A station does not open when the vehicle has done.",
        10,
        0,
    ),
    Mutant(
        "stays_closed_on_fault",
        f"{STATION}._must_open",
        " or self.faults.urgent",
        "",
        "A fault does not open the contactor.",
        40,
        13,
    ),
    Mutant(
        "no_end_under_load",
        f"{STATION}._must_open",
        "return self._stopping_since is not None and",
        "return False and",
        "A vehicle that does not stop without PWM is waited for without end.",
        60,
        45,
    ),
    Mutant(
        "closes_without_lease",
        f"{STATION}._may_close",
        "self.leased_da >= self.offered_da >= MIN_OFFER_DA",
        "self.offered_da >= MIN_OFFER_DA",
        "A station closes at the 6 A of a vehicle that waits.",
        5,
        2,
    ),
    Mutant(
        "self_test_skipped",
        f"{STATION}._may_close",
        " and tested",
        "",
        "A station does not wait for the result of the self-test before it closes.",
        5,
        3,
    ),
    Mutant(
        "offers_its_rating",
        f"{STATION}._offer",
        "min(self.leased_da, self.sensors.ceiling_da)",
        "self.sensors.ceiling_da if self.holder.amps_da else 0",
        "A station that holds anything offers all it is rated for.",
        5,
        0,
    ),
    Mutant(
        "cut_not_passed_on",
        f"{STATION}._drive_pilot",
        "if want > self.offered_da > 0 and not self._due(self._changed_at + PILOT_HOLD_S, now):",
        "if 0 < want < self.offered_da:",
        "The pilot does not follow a lease that becomes smaller.",
        20,
        12,
    ),
    Mutant(
        "raise_at_any_time",
        f"{STATION}._drive_pilot",
        "not self._due(self._changed_at + PILOT_HOLD_S, now)",
        "False",
        "The pilot is raised sooner than 5 s after its last change.",
        10,
        0,
    ),
    Mutant(
        "duty_off",
        "firmware.pilot.duty",
        "amps / 0.6",
        "amps / 0.58",
        "The duty cycle says 3 % more than the lease.",
        5,
        0,
    ),
    Mutant(
        "late_out_of_c",
        "firmware.pilot.PilotFilter._delay",
        "or self.seen in _ASKING",
        "",
        "A vehicle that leaves C is believed after a quarter of a second only.",
        10,
        3,
    ),
    Mutant(
        "faults_never_clear",
        "firmware.faults.Faults._clears_at",
        "return self._gone_at[code] + ERROR_PAUSE_S",
        "return inf",
        "A fault stays when its cause has gone and its pause is over.",
        40,
        12,
    ),
    Mutant(
        "causes_never_end",
        "firmware.faults.Faults.end",
        "self._gone_at[code] = now",
        "pass",
        "The cause of a fault is taken to be there for ever.",
        10,
        0,
    ),
    Mutant(
        "stuck_too_soon",
        "firmware.contactor.ContactorWatch.judged_at",
        "+ FEEDBACK_OPEN_S",
        "+ 0.01",
        "A contactor that takes its time is said to be stuck, for good.",
        10,
        3,
    ),
    Mutant(
        "turn_is_ignored",
        "firmware.app.App._turn",
        "self._take_role(now)",
        "pass",
        "A turned switch changes nothing.",
        10,
        0,
    ),
    Mutant(
        "role_without_leave",
        "firmware.app.App._take_role",
        "self.role.close(now)",
        "pass",
        "What was granted in one role is kept in the next.",
        20,
        3,
    ),
)


@contextmanager
def planted(mutant: Mutant) -> Iterator[None]:
    """The bug is in the firmware of this process until the block ends. Raises ValueError when the firmware has other
    words at that place by now."""
    function = mutant.function
    source = textwrap.dedent(inspect.getsource(function))
    if source.count(mutant.old) != 1:
        raise ValueError(f"{mutant.name}: not once in {mutant.where}: {mutant.old}")
    made: dict[str, Any] = {}
    exec(compile(source.replace(mutant.old, mutant.new), mutant.name, "exec"), function.__globals__, made)
    with patch(mutant.where, made[function.__name__]):
        yield


def verdict(seed: int) -> Verdict | None:
    """The first thing that is wrong with the world of a seed."""
    return next(iter(judge_seed(seed).verdicts), None)


def _row(mutant: Mutant, seeds: int) -> str:
    """A line of the table."""
    with planted(mutant):
        found = {seed: said for seed in range(seeds) if (said := verdict(seed)) is not None}
    checks = ", ".join(check for check, _ in Counter(said.check for said in found.values()).most_common())
    first = min(found, default="none")
    return f"| {mutant.name} | {mutant.room} | {mutant.bug} | {mutant.within} | {first} | {len(found)} | {checks} |"


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.scenario.mutants", description="Which seeds find which bug.")
    parser.add_argument("names", nargs="*", help="planted bugs, all of them when none is named")
    parser.add_argument("--seeds", type=int, default=100, help="worlds to look for each in (%(default)s)")
    chosen = parser.parse_args(arguments)
    print(f"| planted | in | what it does | wanted below seed | first seed | of {chosen.seeds} | found by |")
    print("|---|---|---|---|---|---|---|")
    for mutant in MUTANTS:
        if not chosen.names or mutant.name in chosen.names:
            print(_row(mutant, chosen.seeds), flush=True)


if __name__ == "__main__":
    main()
