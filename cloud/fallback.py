"""What every member offers when it has lost its controller: legal at every node, whoever is lost and whoever is not."""

from collections.abc import Mapping, Sequence

from cloud.allocation import Claim, allocate
from cloud.site import Kind, Member
from cloud.site_rules import Problem
from cloud.tree import SiteError, Tree


def choose(tree: Tree) -> list[int]:
    """Of each member, deciamperes. Rows never fall when somebody draws more, so what all together may take is legal for
    any of them: those that are written stand, the others share what is left beside the building's worst load.

    Raise `SiteError` where what is written does not fit.
    """
    members, worst = tree.site.members, worst_building(tree)
    written = [member.fallback_a or 0.0 for member in members]
    found = _overfull(tree, written, worst)
    if found:
        raise SiteError(found)
    claims = [_claim(member, i) for i, member in enumerate(members)]
    shares = allocate(tree, claims, worst)
    return [
        round(10 * (share.amps if claim.max_a else claim.standing_a))
        for share, claim in zip(shares, claims, strict=True)
    ]


def _claim(member: Member, i: int) -> Claim:
    if member.fallback_a is not None:
        return Claim(member.min_a, 0.0, standing_a=member.fallback_a)
    if not member.keeps_quiet:
        return Claim(member.min_a, 0.0)  # it would be reserved for it all the time
    weight = member.weight * member.stations
    return Claim(member.min_a, member.rating_a, weight, member.priority, rank=i)


def worst_building(tree: Tree) -> dict[str, tuple[float, ...]]:
    """The load that is assumed where nothing is heard, A on each line of each metered node."""
    return {meter.node: (meter.worst_a,) * tree.lines(meter.node) for meter in tree.site.meters}


def _overfull(tree: Tree, amps: Sequence[float], building: Mapping[str, Sequence[float]]) -> list[Problem]:
    """The members whose written fallbacks are in a row that they overfill together."""
    found: dict[int, str] = {}
    sums, limits = tree.sums(amps), tree.limits(building)
    for branch, there, left in zip(tree.branches, sums, limits, strict=True):
        for row, limit in zip(branch.rows, left, strict=True):
            load = row.load(there)
            if load > limit * (1 + 1e-9):
                line = f" line {row.line}" if row.line else ""
                unit = "W" if branch.node.kind is Kind.BUDGET else "A"
                text = f"the fallbacks below {branch.node.name}{line} come to {load:.1f} {unit} of {limit:.1f} {unit}"
                for i in tree.below(branch.node.name):
                    if amps[i] > 0:
                        found.setdefault(i, text)
    return [Problem(("member", i, "fallback_a"), text) for i, text in sorted(found.items())]
