"""What a site's simulation came to: stays, figures, the page, and `watti simulate` of a site as a command."""

import csv
import json
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cloud.link import Wish
from cloud.site import Kind, Member, Node, Phases, Rule, Site
from watti.cli import main
from watti.scenario import CONFIGS
from watti.sites.compare import aligned, compared, figures, violations
from watti.sites.figure import figure
from watti.sites.judge import Above, Verdict
from watti.sites.run import COLUMNS, Outcome, SiteRun, bounds
from watti.sites.scenario import Network, SiteScenario, load_site_scenario
from watti.sites.scenario_rules import CHOICES
from watti.sites.stays import Stay, Stays
from watti.sites.truth import Slot
from watti.sites.world import CUT, MeterState, SiteWorld, Wire

SITE = Site(
    "Yard",
    (
        Node("all", Kind.BUDGET, limit_w=50_000),
        Node("main", Kind.SERVICE, "all", limit_a=100.0, rule=Rule.PHASOR),
        Node("shed", Kind.CIRCUIT, "main", Phases.SINGLE, limit_a=40.0),
    ),
    (Member("gate", "main", 48.0), Member("barn", "shed", 40.0, stations=2)),
)


class Counter:
    """The energy counters of members."""

    def __init__(self) -> None:
        self.kwh = [0.0, 0.0]

    def read(self, member: int, now: float) -> float:
        return self.kwh[member]


@pytest.fixture
def counter() -> Counter:
    return Counter()


@pytest.fixture
def stays(counter: Counter) -> Stays:
    return Stays(2, counter.read)


# Stays


def test_a_stay_counts_what_came_and_the_time_without_an_offer(counter: Counter, stays: Stays) -> None:
    counter.kwh[0] = 7.0
    stays.come(0, lacks_kwh=10.0, wanted_kwh=8.0, now=100.0)
    stays.offer(0, 16.0, 130.0)
    stays.offer(0, 10.0, 150.0)
    stays.offer(0, 0.0, 200.0)
    counter.kwh[0] = 11.0
    stays.leave(0, 260.0)
    assert stays.end(500.0) == [Stay(0, 1, 100.0, 260.0, 8.0, 4.0, waiting_s=90.0)]


def test_who_is_full_does_not_wait(counter: Counter, stays: Stays) -> None:
    stays.offer(0, 16.0, 0.0)
    stays.come(0, 10.0, 10.0, 0.0)
    counter.kwh[0] = 9.99
    stays.offer(0, 0.0, 200.0)
    assert stays.waiters(250.0) == 0
    assert stays.end(500.0) == [Stay(0, 1, 0.0, 500.0, 10.0, 9.99, waiting_s=0.0)]


def test_who_lacks_energy_waits(counter: Counter, stays: Stays) -> None:
    stays.come(0, 10.0, 10.0, 0.0)
    stays.come(1, 10.0, 10.0, 0.0)
    assert stays.waiters(1.0) == 2
    stays.offer(1, 6.0, 2.0)
    assert stays.waiters(3.0) == 1


def test_vehicles_of_a_group_that_are_there_together_are_one_stay(counter: Counter, stays: Stays) -> None:
    stays.come(1, 10.0, 9.0, 0.0)
    stays.come(1, 20.0, 15.0, 50.0)
    stays.leave(1, 100.0)
    counter.kwh[1] = 6.0
    stays.leave(1, 200.0)
    stays.come(1, 5.0, 5.0, 300.0)
    first, second = stays.end(400.0)
    assert (first.vehicles, first.from_s, first.until_s, first.wanted_kwh, first.got_kwh) == (2, 0.0, 200.0, 24.0, 6.0)
    assert (second.vehicles, second.from_s, second.until_s, second.got_kwh) == (1, 300.0, 400.0, 0.0)


@pytest.mark.parametrize(("wanted", "got", "served"), [(10.0, 5.0, 0.5), (10.0, 11.0, 1.0), (0.0, 0.0, 1.0)])
def test_what_part_was_served(wanted: float, got: float, served: float) -> None:
    assert Stay(0, 1, 0.0, 1.0, wanted, got, 0.0).served == served


# Figures


def outcome(policy: str = "equal", got: Sequence[float] = (10.0, 5.0), verdicts: Sequence[Verdict] = ()) -> Outcome:
    return Outcome(
        policy=policy,
        stays=[
            Stay(0, 1, 0.0, 3600.0, 10.0, got[0], 30.0),
            Stay(1, 1, 0.0, 3600.0, 10.0, got[1], 70.0),
            Stay(1, 1, 4000.0, 4000.0, 0.0, 0.0, 5.0),
        ],
        energy_kwh=list(got),
        most_a=[48.0, 33.333],
        peak_kw=17.5,
        slots=[
            Slot(0, -1, 50_000.0, watts=True),
            *(Slot(1, line, 100.0, watts=False) for line in range(3)),
            Slot(2, -1, 40.0, watts=False),
        ],
        peaks=[17_500.0, 60.0, 105.5, 80.0, 33.3],
        above=[Above(), Above(), Above(12.0, 7.0, 5.5), Above(9.0, 8.0, 1.0), Above()],
        bound_s=[0.0, 20.0, 20.0, 20.0, 0.0],
        verdicts=verdicts,
        samples=[],
    )


def test_the_figures_of_a_policy() -> None:
    its = figures(SITE, outcome())
    assert {key: its[key] for key in ("energy_kwh", "wanted_kwh", "unmet_kwh", "jain", "peak_kw")} == {
        "energy_kwh": 15.0,
        "wanted_kwh": 20.0,
        "unmet_kwh": 5.0,
        "jain": 0.9,  # (1 + 0.5)^2 / (2 x 1.25)
        "peak_kw": 17.5,
    }
    assert (its["waiting_s"], its["longest_waiting_s"]) == (100.0, 70.0)
    assert (its["above_s"], its["longest_above_s"], its["bound_s"]) == (12.0, 8.0, 20.0)


def test_nodes_say_what_their_fullest_line_carried() -> None:
    nodes = figures(SITE, outcome())["nodes"]
    assert (nodes["all"]["unit"], nodes["all"]["limit"], nodes["all"]["peak"]) == ("kW", 50.0, 17.5)
    assert nodes["main"]["peaks"] == {"A": 60.0, "B": 105.5, "C": 80.0}
    assert (nodes["main"]["peak"], nodes["main"]["above_s"], nodes["main"]["longest_above_s"]) == (105.5, 12.0, 8.0)
    assert nodes["shed"]["peaks"] == {"": 33.3}


def test_members_sum_up_their_stays() -> None:
    barn = {"energy_kwh": 5.0, "wanted_kwh": 10.0, "waiting_s": 75.0, "peak_a": 33.33}
    assert figures(SITE, outcome())["members"]["barn"] == barn


def test_an_excess_without_a_controller_is_no_violation() -> None:
    broken = [Verdict(1.0, "drawn", "too much")]
    assert violations([outcome(verdicts=broken), outcome("uncontrolled", verdicts=broken)]) == 1


def test_a_comparison_has_a_column_for_each_policy() -> None:
    by_policy = {name: figures(SITE, outcome(name, got)) for name, got in (("equal", (9, 9)), ("priority", (10, 2)))}
    rows = {row[0]: row[1:] for row in compared(by_policy)}
    assert rows["delivered, kWh"] == ["18.0", "12.0"]
    assert rows["main: highest of 100 A"] == ["105.5", "105.5"]
    assert aligned([["", "equal"], ["unmet, kWh", "2.0"]]) == "            equal\nunmet, kWh    2.0"


# The bound


def dynamic(**changes: Any) -> SiteScenario:
    scenario = load_site_scenario(CONFIGS / "scenarios" / "site_dynamic.toml")
    return replace(scenario, events=(), **changes)


def test_only_nodes_whose_load_is_seen_have_a_bound() -> None:
    service, parking = bounds(dynamic())
    assert parking == 0
    # meter 1 + 0.05 + report 10, network 2 x 0.1, settle 6.5, decision 1; drift 1 %
    assert service == pytest.approx((1.05 + 10 + 0.2 + 6.5 + 1) * 1.01)


def test_a_meter_tells_of_the_nodes_above_it() -> None:
    scenario = dynamic()
    (meter,) = scenario.site.meters
    below = replace(scenario, site=replace(scenario.site, meters=(replace(meter, node="parking"),)))
    service, parking = bounds(below)
    assert service == parking > 0


def test_a_lossy_network_has_the_bound_of_a_lease() -> None:
    assert bounds(dynamic(network=Network(0.1, 0.1)))[0] - bounds(dynamic())[0] == pytest.approx((60 - 0.2) * 1.01)


# Plots


def test_every_policy_has_a_line_of_its_own() -> None:
    scenario = dynamic()
    plots = figure(scenario, [outcome(policy) for policy in CHOICES])
    assert len({(trace["line"]["color"], trace["line"]["dash"]) for trace in plots["data"][:4]}) == 4
    assert [trace["name"] for trace in plots["data"][:4]] == list(CHOICES)


# The command

SHORT = """
[scenario]
site = "{site}"
duration_s = 700
[[event]]
at_s = 300
do = "plug"
station = "s1"
"""


@pytest.fixture
def short(tmp_path: Path) -> Path:
    path = tmp_path / "short.toml"
    path.write_text(SHORT.format(site=CONFIGS / "sites" / "panel.toml"))
    return path


def test_json_of_a_site(short: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["simulate", str(short), "--json", "--seed", "5"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert (result["site"], result["stations"], result["vehicles"], result["seed"]) == ("Panel", 8, 1, 5)
    assert list(result["policies"]) == ["equal"]
    s1 = result["policies"]["equal"]["members"]["s1"]
    assert s1["peak_a"] == 48.0
    assert s1["wanted_kwh"] == round(48 * 208 * 400 / 3.6e6, 3)  # from 300 s to the end
    assert result["policies"]["equal"]["violations"] == []


def test_text_of_a_site(short: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["simulate", str(short), "--policy", "first_come", "--policy", "uncontrolled"]) == 0
    head, columns, *rows = capsys.readouterr().out.splitlines()
    assert head.startswith("Panel: 8 stations (modelled stations), 1 vehicles, 700 s in ")
    assert columns.split() == ["first_come", "uncontrolled"]
    assert rows[-2].split() == ["panel:", "highest", "of", "200", "A", "48.0", "48.0"]
    assert rows[-1] == "violations 0"


def test_trace_of_a_site(short: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["simulate", str(short), "--trace", str(tmp_path / "t.csv")]) == 0
    rows = list(csv.reader((tmp_path / "t.csv").read_text().splitlines()))
    assert tuple(rows[0]) == COLUMNS
    assert rows[-1][1:] == ["s1", "48.0", "48.0", "48.00", "demand"]


def test_a_violation_is_told_and_the_exit_code_is_1(short: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The building takes what no meter sees."""
    with short.open("a") as file:
        file.write('[[event]]\nat_s = 600\ndo = "load"\nnode = "panel"\namps = 190\n')
    assert main(["simulate", str(short)]) == 1
    out = capsys.readouterr().out
    assert "violations 2\n" in out
    above = r"ABOVE THE LIMIT at 600.\d+ s, equal, drawn: panel: 48.00 A beside 190.00 A of 200.00 A, 38.00 A too much"
    assert re.search(above, out)


def test_what_is_not_promised_is_no_failure(short: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with short.open("a") as file:
        file.write('[[event]]\nat_s = 600\ndo = "load"\nnode = "panel"\namps = 190\n')
    assert main(["simulate", str(short), "--policy", "uncontrolled"]) == 0
    out = capsys.readouterr().out
    assert "ABOVE" not in out
    assert re.search(r"above a limit, s +100.0\n", out)  # to the very end


@pytest.mark.parametrize(
    ("options", "error"),
    [
        (
            ["--policy", "prioriti"],
            "--policy prioriti: expected equal, priority, first_come, uncontrolled, did you mean",
        ),
        (["--policy", "equal", "--policy", "priority", "--trace", "t.csv"], "--trace: expected one policy (got 2)"),
    ],
)
def test_options_that_are_refused(
    short: Path, options: list[str], error: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["simulate", str(short), *options]) == 2
    assert capsys.readouterr().err.startswith(error)


def test_a_circuits_scenario_has_no_policy(capsys: pytest.CaptureFixture[str]) -> None:
    page = CONFIGS / "scenarios" / "maker_page.toml"
    assert main(["simulate", str(page), "--policy", "equal"]) == 2
    assert capsys.readouterr().err == "--policy: expected a scenario of a site, which has a controller\n"


def test_members_that_no_firmware_is_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "mixed.toml"
    site = CONFIGS / "sites" / "mixed.toml"
    path.write_text(f'[scenario]\nsite = "{site}"\nduration_s = 10\nfirmware = true\n')
    assert main(["simulate", str(path)]) == 2
    assert f"{path}: other-make: keeps_quiet: expected true" in capsys.readouterr().err


def test_events_happen_to_whom_and_when_they_say(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    site = CONFIGS / "sites" / "dynamic.toml"
    events = [
        'at_s = 6\ndo = "plug"\nstation = "s4"\nweight = 2\n',
        'at_s = 10\ndo = "offline"\nstation = "s1"\nfor_s = 20\n',
        'at_s = 11\ndo = "power_off"\nstation = "s2"\n',
        'at_s = 12\ndo = "power_on"\nstation = "s2"\n',
        'at_s = 13\ndo = "restart"\nstation = "s3"\n',
        'at_s = 14\ndo = "meter"\nmeter = "main"\nfault = "nan"\nfor_s = 5\n',
        'at_s = 15\ndo = "controller_off"\nfor_s = 20\n',
    ]
    path = tmp_path / "events.toml"
    path.write_text(f'[scenario]\nsite = "{site}"\nduration_s = 60\n' + "".join(f"[[event]]\n{e}" for e in events))
    done: list[tuple[object, ...]] = []

    def noted(verb: str) -> None:
        real = getattr(SiteWorld, verb)

        def call(world: SiteWorld, *args: object) -> None:
            done.append((world.now, verb, *args))
            real(world, *args)

        monkeypatch.setattr(SiteWorld, verb, call)

    for verb in ("wires", "power", "restart", "meter", "wish", "stop_controller", "start_controller"):
        noted(verb)
    run = SiteRun(load_site_scenario(path), "equal")
    whole = Wire(delay_s=0.1)
    assert [args for now, verb, *args in done if verb == "wires"] == [[i, whole, whole] for i in range(6)]
    run.run()
    assert [entry for entry in done if entry[0]] == [
        (10.0, "wires", 0, CUT, CUT),
        (11.0, "power", 1, False),
        (12.0, "power", 1, True),
        (13.0, "restart", 2),
        (14.0, "meter", "main", MeterState("nan")),
        (15.0, "stop_controller"),
        (16.0, "wish", 3, Wish(weight=2.0)),
        (19.0, "meter", "main", MeterState()),
        (30.0, "wires", 0, whole, whole),
        (35.0, "start_controller"),
    ]


# The page


def test_the_page_of_a_comparison(short: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = tmp_path / "r.html"
    assert main(["simulate", str(short), "--policy", "equal", "--policy", "uncontrolled", "--report", str(target)]) == 0
    page = target.read_text()
    assert "0 violations: no node was above its limit because of vehicles" in page
    assert re.search(r'<table id="policies"><thead><tr><th></th><th>equal</th><th>uncontrolled</th>', page)
    assert not re.search(r"\$[a-z]", page.replace(page[page.index("<script>") :], ""))
    (drawn,) = re.findall(r'<script id="figure" type="application/json">(.*?)</script>', page)
    plots = json.loads(drawn)
    assert [trace["name"] for trace in plots["data"]] == ["equal", "uncontrolled"] * 3 + ["limit"]
    assert {"yaxis", "yaxis2", "yaxis3"} <= plots["layout"].keys()


def test_the_page_says_what_was_broken(short: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with short.open("a") as file:
        file.write('[[event]]\nat_s = 600\ndo = "load"\nnode = "panel"\namps = 190\n')
    assert main(["simulate", str(short), "--report", str(tmp_path / "r.html")]) == 1
    page = (tmp_path / "r.html").read_text()
    assert "2 violations: a node was above its limit because of vehicles" in page
    assert '<table id="violations">' in page


def test_a_page_without_a_controller_promises_nothing(short: Path, tmp_path: Path) -> None:
    assert main(["simulate", str(short), "--policy", "uncontrolled", "--report", str(tmp_path / "r.html")]) == 0
    assert "Uncontrolled: nothing is promised" in (tmp_path / "r.html").read_text()
