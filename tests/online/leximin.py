"""The same shares by linear programs: the level as high as it goes, then who can't get more, and so on.

Scalar trees only. Needs scipy.
"""

from collections.abc import Mapping, Sequence
from importlib import import_module

from cloud.allocation import Claim
from cloud.site import Site
from cloud.witness import rows
from tests.online.reference import Solver

_SURE_A = 1e-4
"""Who can't get this much more stands still."""
_BELOW = 1e-6
"""Levels stay this much below what the solver finds, so that its tolerance adds nothing up."""


def leximin(site: Site, claims: Sequence[Claim], building: Mapping[str, Sequence[float]]) -> list[float]:
    """What everyone gets (A), before it is floored."""
    return _Programs(rows(site, building), claims).solve()


class _Programs(Solver):
    def _raise(self, served: Sequence[int], most: Mapping[int, float]) -> None:
        matrix, limits = self._matrix()
        going = [i for i in served if most[i] > self.amps[i]]
        while going:
            level = self._highest(going, most, matrix, limits) - _BELOW
            for i in going:
                self.amps[i] = max(self.amps[i], level * self._claims[i].weight)
            going = [i for i in going if self._most(i, most[i], matrix, limits) > self.amps[i] + _SURE_A]

    def _matrix(self) -> tuple[list[list[float]], list[float]]:
        """One ampere of each member in each row, and what the rows may carry."""
        everyone = range(len(self.amps))
        units = [[float(i == j) for j in everyone] for i in everyone]
        matrix = [[row.counted(unit) for unit in units] for row in self._rows]
        return matrix, [max(row.limit, row.counted(self.amps)) for row in self._rows]

    def _highest(
        self,
        going: Sequence[int],
        most: Mapping[int, float],
        matrix: Sequence[Sequence[float]],
        limits: Sequence[float],
    ) -> float:
        """The highest level of all that go on: x <= most, x >= weight x level."""
        bounds = [(amps, most[i] if i in going else amps) for i, amps in enumerate(self.amps)]
        above = [[-float(i == j) for j in range(len(self.amps))] + [self._claims[i].weight] for i in going]
        upper = [[*gains, 0.0] for gains in matrix] + above
        cost = [0.0] * len(self.amps) + [-1.0]
        return -_solved(cost, upper, [*limits, *(0.0 for _ in going)], [*bounds, (0.0, None)])

    def _most(self, i: int, most: float, matrix: Sequence[Sequence[float]], limits: Sequence[float]) -> float:
        """What a member could get while nobody has less."""
        bounds = [(amps, most if i == j else amps) for j, amps in enumerate(self.amps)]
        return -_solved([-float(i == j) for j in range(len(self.amps))], matrix, limits, bounds)


def _solved(
    cost: Sequence[float],
    upper: Sequence[Sequence[float]],
    limits: Sequence[float],
    bounds: Sequence[tuple[float, float | None]],
) -> float:
    found = import_module("scipy.optimize").linprog(cost, upper or None, limits or None, bounds=bounds)
    if not found.success:
        raise RuntimeError(found.message)
    return float(found.fun)
