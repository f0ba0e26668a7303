"""The sites of configs/scenarios in virtual time: what the maker's page says comes out, and what policies come to."""

import csv
from dataclasses import replace
from functools import cache
from io import StringIO
from pathlib import Path
from typing import NamedTuple

import pytest

from watti.scenario import CONFIGS
from watti.sites.compare import figures, violations
from watti.sites.run import COLUMNS, Outcome, SiteRun
from watti.sites.scenario import SiteScenario, load_site_scenario

pytestmark = pytest.mark.scenario

TWELVE = [f"{circuit}{number}" for circuit in "abcd" for number in (1, 2, 3)]


class Line(NamedTuple):
    """A member at a moment."""

    offered_a: float
    limit_a: float
    drawn_a: float
    bound: str


@cache
def _lines(trace: str) -> list[tuple[float, str, Line]]:
    _, *rows = csv.reader(StringIO(trace))
    return [(float(t_s), name, Line(float(o), float(limit), float(d), bound)) for t_s, name, o, limit, d, bound in rows]


class Run(NamedTuple):
    """A scenario that has been run, and its trace."""

    scenario: SiteScenario
    outcome: Outcome
    trace: str

    def at(self, t_s: float) -> dict[str, Line]:
        """Each member's last row up to a moment, of those that offer something."""
        found = {member: line for moment, member, line in _lines(self.trace) if moment <= t_s}
        return {member: line for member, line in found.items() if line.offered_a}

    def offered_at(self, t_s: float) -> dict[str, float]:
        return {member: line.offered_a for member, line in self.at(t_s).items()}

    def bounds_at(self, t_s: float) -> dict[str, str]:
        return {member: line.bound for member, line in self.at(t_s).items()}

    @property
    def nodes(self) -> dict[str, dict[str, float]]:
        """Figures of each node."""
        nodes: dict[str, dict[str, float]] = figures(self.scenario.site, self.outcome)["nodes"]
        return nodes


def run(scenario: SiteScenario, policy: str) -> Run:
    trace = StringIO()
    outcome = SiteRun(scenario, policy, trace).run()
    return Run(scenario, outcome, trace.getvalue())


@cache
def shipped(name: str) -> Run:
    """One of those that come along, with modelled stations."""
    scenario = load_site_scenario(CONFIGS / "scenarios" / f"site_{name}.toml")
    return run(replace(scenario, firmware=False), scenario.policy)


def stations(amps: float, *names: str) -> dict[str, float]:
    return dict.fromkeys(names, amps)


@pytest.mark.parametrize("name", ["circuit", "panel", "panel_phasor", "multi_level", "dynamic", "mixed", "portfolio"])
def test_no_node_is_ever_above_its_limit_because_of_vehicles(name: str) -> None:
    assert shipped(name).outcome.verdicts == []


def test_circuit_as_on_the_page() -> None:
    circuit = shipped("circuit")
    assert circuit.offered_at(690) == {"s1": 48.0}
    assert circuit.offered_at(1090) == stations(24.0, "s1", "s2")
    assert circuit.offered_at(1490) == stations(16.0, "s1", "s2", "s3")
    assert circuit.offered_at(1890) == stations(12.0, "s1", "s2", "s3", "s4")
    assert circuit.offered_at(2190) == stations(16.0, "s2", "s3", "s4")
    assert circuit.offered_at(2490) == stations(24.0, "s3", "s4")
    assert circuit.offered_at(2990) == {"s4": 48.0}
    assert set(circuit.bounds_at(1890).values()) == {"node circuit"}


def test_circuit_with_the_firmware_in_all_stations() -> None:
    scenario = load_site_scenario(CONFIGS / "scenarios" / "site_circuit.toml")
    assert scenario.firmware
    circuit = run(replace(scenario, duration_s=760.0), "equal")
    assert circuit.outcome.verdicts == []
    assert circuit.offered_at(690) == {"s1": 48.0}
    assert circuit.offered_at(760) == stations(24.0, "s1", "s2")


def test_panel_as_on_the_page() -> None:
    panel = shipped("panel")
    eight = [f"s{number}" for number in range(1, 9)]
    assert panel.offered_at(590) == {"s1": 48.0}
    assert panel.offered_at(1490) == stations(48.0, *eight[:4])
    assert panel.offered_at(1790) == stations(40.0, *eight[:5])
    assert panel.offered_at(2990) == stations(25.0, *eight)
    assert set(panel.bounds_at(2990).values()) == {"node panel"}


def test_a_panel_with_known_lines_gives_more() -> None:
    panel = shipped("panel_phasor")
    on_ca = stations(48.0, "s3", "s6")
    assert panel.offered_at(2990) == on_ca | stations(38.4, "s1", "s2", "s4", "s5", "s7", "s8")
    assert panel.bounds_at(2990)["s1"] == "node panel B"
    assert 199 < panel.nodes["panel"]["peak"] <= 200


def test_multi_level_as_on_the_page() -> None:
    levels = shipped("multi_level")
    assert levels.offered_at(530) == {"a1": 48.0}
    assert levels.offered_at(770) == stations(24.0, "a1", "a2")
    assert levels.offered_at(1010) == stations(16.0, "a1", "a2", "a3")
    assert levels.bounds_at(1010)["a1"] == "node a"
    assert levels.offered_at(3590) == stations(16.0, *TWELVE)
    assert levels.bounds_at(3590) == {name: f"node {name[0]}" for name in TWELVE}
    assert levels.nodes["panel"]["peak"] == pytest.approx(192)


def test_dynamic_stays_above_the_limit_no_longer_than_the_bound() -> None:
    service = shipped("dynamic").nodes["service"]
    assert 0 < service["longest_above_s"] <= service["bound_s"] < 30
    assert service["peak"] > service["limit"]


def test_dynamic_assumes_the_worst_while_the_meter_is_dead() -> None:
    dynamic = shipped("dynamic")
    dead, alive = (sum(line.drawn_a for line in dynamic.at(t_s).values()) for t_s in (11_390, 11_600))
    assert dead < 64  # 20 A on each line is all that is left beside 380 A
    assert alive > 90


def test_mixed_serves_its_priority_first_and_lowers_groups() -> None:
    mixed = shipped("mixed")
    before, after = mixed.offered_at(890), mixed.offered_at(1490)
    assert before == {"west": 48.0, "east": 80.0, "visitor": 48.0}
    assert after["fleet"] == 80.0
    assert (after["west"], after["east"], after["visitor"]) < (48.0, 80.0, 48.0)
    assert all(after[name] < before[name] for name in before)


def test_mixed_reserves_what_the_other_make_falls_back_to() -> None:
    mixed = shipped("mixed")
    assert mixed.offered_at(2695)["other-make"] > 6.0
    assert mixed.offered_at(2900)["other-make"] == 6.0  # offline since 2700 s, its lease is over


def test_portfolio_shares_its_power() -> None:
    nodes = shipped("portfolio").nodes
    assert 57 < nodes["all"]["peak"] <= 60
    assert nodes["villa"]["peak"] == pytest.approx(48)


# Policies


def depot(folder: Path) -> SiteScenario:
    """Eight vehicles return to a small panel in the afternoon; three hours of it."""
    site = CONFIGS / "sites" / "panel.toml"
    path = folder / "depot.toml"
    path.write_text(
        f'[scenario]\nsite = "{site}"\nduration_s = 12600\nbegins = "16:30"\n'
        '[arrivals]\ngenerator = { kind = "depot", arrives_sd_h = 0.2, energy_kwh = 14, energy_sd_kwh = 6 }\n'
    )
    return load_site_scenario(path)


def test_policies_side_by_side(tmp_path: Path) -> None:
    scenario = depot(tmp_path)
    runs = {name: run(scenario, name) for name in ("equal", "priority", "first_come", "uncontrolled")}
    by_policy = {name: figures(scenario.site, one.outcome) for name, one in runs.items()}
    assert violations([one.outcome for one in runs.values()]) == 0
    free = by_policy.pop("uncontrolled")
    assert free["peak_kw"] > 41.6  # 200 A of 208 V
    assert free["above_s"] > 600
    assert free["violations"]
    assert free["waiting_s"] < 60
    for its in by_policy.values():
        assert its["peak_kw"] <= 41.6
        assert its["above_s"] == 0
        assert its["energy_kwh"] <= free["energy_kwh"] == pytest.approx(free["wanted_kwh"], rel=0.01)
        assert its["wanted_kwh"] == free["wanted_kwh"]
        assert its["energy_kwh"] + its["unmet_kwh"] == pytest.approx(its["wanted_kwh"], abs=0.01)
    assert by_policy["first_come"]["waiting_s"] > 10 * by_policy["equal"]["waiting_s"]


def test_the_same_seed_gives_the_same_trace(tmp_path: Path) -> None:
    scenario = replace(depot(tmp_path), duration_s=5400.0)
    assert run(scenario, "equal").trace == run(scenario, "equal").trace


def test_a_lossy_network_costs_no_safety(tmp_path: Path) -> None:
    scenario = replace(depot(tmp_path), duration_s=7200.0)
    lossy = replace(scenario, network=replace(scenario.network, loss=0.3, delay_s=2.0))
    one = run(lossy, "equal")
    assert one.outcome.verdicts == []
    assert one.trace != run(scenario, "equal").trace


def test_trace_has_its_columns_and_no_row_twice() -> None:
    rows = list(csv.reader(StringIO(shipped("panel").trace)))
    assert tuple(rows[0]) == COLUMNS
    last: dict[str, list[str]] = {}
    for _, member, *rest in rows[1:]:
        assert last.get(member) != rest
        last[member] = rest
