"""The same shares found in another way: the level by halving, every row tried, everyone's next step tried.

Slow and plain, for small trees: a witness of what `cloud.fill` and `cloud.allocation` find.
"""

from collections.abc import Mapping, Sequence

from cloud.allocation import Claim
from cloud.site import Site
from cloud.witness import Row, rows

_SURE = 1e-9
_STEP_A = 1e-4


def reference(site: Site, claims: Sequence[Claim], building: Mapping[str, Sequence[float]]) -> list[float]:
    """What everyone gets (A), before it is floored."""
    return Solver(rows(site, building), claims).solve()


class Solver:
    """Minimums one after the other, then everyone up to its need, then everyone up to its most."""

    def __init__(self, all_rows: Sequence[Row], claims: Sequence[Claim]) -> None:
        self._rows = all_rows
        self._claims = claims
        self.amps = [claim.standing_a for claim in claims]

    def solve(self) -> list[float]:
        claims = self._claims
        for priority in sorted({claim.priority for claim in claims}, reverse=True):
            self._serve([i for i, claim in enumerate(claims) if claim.priority == priority and claim.max_a > 0])
        return self.amps

    def _serve(self, asking: Sequence[int]) -> None:
        claims = self._claims
        served = []
        for i in sorted(asking, key=lambda i: (claims[i].rank, i)):
            with_it = list(self.amps)
            with_it[i] = max(claims[i].min_a, self.amps[i])
            if self._fits(with_it, self.amps):
                self.amps = with_it
                served.append(i)
        self._raise(served, {i: min(claims[i].needed_a, claims[i].max_a) for i in served})
        self._raise(served, {i: claims[i].max_a for i in served})

    def _fits(self, amps: Sequence[float], before: Sequence[float]) -> bool:
        """Nothing that was raised overloads a row."""
        return all(
            row.counted(amps) <= max(row.limit, row.counted(before)) + _SURE * (1 + abs(row.limit))
            for row in self._rows
        )

    def _raise(self, served: Sequence[int], most: Mapping[int, float]) -> None:
        """Everyone to its share of what is left, none above its most."""
        going = set(served)
        while going:
            low, high = 0.0, max(most[i] / self._claims[i].weight for i in going) + 1.0
            for _ in range(60):
                level = (low + high) / 2
                low, high = (level, high) if self._fits(self._at(level, going, most), self.amps) else (low, level)
            self.amps = self._at(low, going, most)
            stuck = {i for i in going if self.amps[i] >= most[i] or not self._fits(self._stepped(i), self.amps)}
            if not stuck and high - low < _SURE:
                raise RuntimeError("nobody can be raised alone, nor all together")
            going -= stuck

    def _at(self, level: float, going: set[int], most: Mapping[int, float]) -> list[float]:
        amps = list(self.amps)
        for i in going:
            amps[i] = max(amps[i], min(level * self._claims[i].weight, most[i]))
        return amps

    def _stepped(self, i: int) -> list[float]:
        amps = list(self.amps)
        amps[i] += _STEP_A
        return amps
