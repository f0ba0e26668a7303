"""Site files: what they become, and every way in which they are refused."""

from math import inf, sqrt
from pathlib import Path

import pytest

from cloud.allocation import Claim, allocate
from cloud.optimality import problems
from cloud.site import Kind, Measures, Member, Meter, Node, Phases, Rule, Timing
from firmware.config import ConfigError
from watti.scenario import CONFIGS
from watti.site_file import SiteFile, load_site, read_site

SHIPPED = sorted((CONFIGS / "sites").glob("*.toml"))

HEAD = '[site]\nname = "Here"\nvoltage_v = 208\n'
PANEL = '[[node]]\nname = "panel"\nkind = "panel"\nlimit_a = 200\n'
STATION = '[[station]]\nname = "s"\nnode = "panel"\nmodel = "48A"\n'


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "some.toml"


def read_of(path: Path, *parts: str) -> SiteFile:
    path.write_text("".join(parts))
    return read_site(path)


def errors_of(path: Path, *parts: str) -> list[str]:
    """What is said of a file, without the file's name, which every line has."""
    with pytest.raises(ConfigError) as refused:
        read_of(path, *parts)
    assert all(line.startswith(f"{path}: ") for line in refused.value.errors)
    return [line.removeprefix(f"{path}: ") for line in refused.value.errors]


def node(name: str, kind: str = "panel", parent: str = "panel", *further: str, limit: str = "limit_a = 100") -> str:
    lines = ["[[node]]", f'name = "{name}"', f'kind = "{kind}"', *([f'parent = "{parent}"'] if parent else [])]
    return "\n".join([*lines, *([limit] if limit else []), *further, ""])


def station(name: str = "s", at: str = "panel", *further: str, rating: str = 'model = "48A"') -> str:
    lines = ["[[station]]", f'name = "{name}"', f'node = "{at}"', *([rating] if rating else []), *further, ""]
    return "\n".join(lines)


def group(*further: str, switch: str = "B", model: str = "48A", stations: int = 3) -> str:
    lines = ["[[group]]", 'name = "g"', 'node = "panel"', f'model = "{model}"', f'switch = "{switch}"']
    return "\n".join([*lines, f"stations = {stations}", *further, ""])


def shares(site: Path, *asking: str) -> dict[str, tuple[float, str]]:
    """What those who ask get (all, when none is named), and why no more; the independent checker agrees."""
    tree = read_site(site).tree
    claims = [
        Claim(m.min_a, m.rating_a if not asking or m.name in asking else 0.0, m.weight * m.stations, m.priority)
        for m in tree.site.members
    ]
    given = allocate(tree, claims)
    assert problems(tree.site, given, claims, {}) == []
    found = zip(tree.site.members, given, strict=True)
    return {member.name: (share.amps, str(share.bound)) for member, share in found if share.bound.why != "idle"}


# The sites that are shipped


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_shipped_sites_are_sound_and_say_what_to_see(path: Path) -> None:
    assert load_site(path).members
    assert f"# To see: watti site configs/sites/{path.name} " in path.read_text()


def test_circuit_is_shared_as_on_the_maker_s_page() -> None:
    site = CONFIGS / "sites" / "circuit.toml"
    names = ["s1", "s2", "s3", "s4"]
    found = [shares(site, *names[:count]) for count in (1, 2, 3, 4)]
    assert [{amps for amps, _ in each.values()} for each in found] == [{48.0}, {24.0}, {16.0}, {12.0}]
    assert set(found[3]) == set(names)
    assert {bound for _, bound in found[3].values()} == {"node circuit"}


def test_panel_gives_25_a_to_eight_and_48_a_to_one() -> None:
    site = CONFIGS / "sites" / "panel.toml"
    assert shares(site) == {f"s{n}": (25.0, "node panel") for n in range(1, 9)}
    assert shares(site, "s5") == {"s5": (48.0, "demand")}


def test_panel_with_known_lines_gives_more() -> None:
    site = CONFIGS / "sites" / "panel_phasor.toml"
    assert [member.lines for member in load_site(site).members] == ["AB", "BC", "CA", "AB", "BC", "CA", "AB", "BC"]
    on_ca = {"s3": (48.0, "demand"), "s6": (48.0, "demand")}
    assert shares(site) == {f"s{n}": (38.4, "node panel B") for n in range(1, 9)} | on_ca


def test_multi_level_binds_at_the_circuits() -> None:
    site = CONFIGS / "sites" / "multi_level.toml"
    assert shares(site, "a1", "a2", "a3") == {f"a{n}": (16.0, "node a") for n in (1, 2, 3)}
    assert shares(site) == {f"{c}{n}": (16.0, f"node {c}") for c in "abcd" for n in (1, 2, 3)}


def test_multi_level_without_its_circuits_would_bind_at_the_panel(file: Path) -> None:
    written = (CONFIGS / "sites" / "multi_level.toml").read_text()
    file.write_text(written.replace("breaker_a = 60", "breaker_a = 100"))
    assert set(shares(file).values()) == {(16.6, "node panel")}


def test_mixed_serves_its_priority_first_and_counts_the_stations_of_groups() -> None:
    site = CONFIGS / "sites" / "mixed.toml"
    assert shares(site) == {
        "visitor": (16.2, "node panel A"),
        "fleet": (80.0, "demand"),
        "other-make": (16.2, "node panel A"),
        "west": (48.0, "demand"),
        "east": (64.2, "node panel C"),
    }
    west, east = load_site(site).members[3:]
    assert (west.rating_a, west.stations, west.settle_s) == (48.0, 5, 13.5)
    assert (east.rating_a, east.stations) == (80.0, 3)


def test_portfolio_shares_its_budget_over_all_voltages() -> None:
    site = CONFIGS / "sites" / "portfolio.toml"
    everywhere = {f"{where}-{n}": (29.1, "node all") for where in ("plaza", "depot") for n in range(1, 5)}
    assert shares(site) == everywhere | {"villa-1": (24.0, "node villa"), "villa-2": (24.0, "node villa")}


def test_caltech_is_the_network_of_acnportal() -> None:
    site = load_site(CONFIGS / "sites" / "caltech.toml")
    count = {lines: sum(member.lines == lines for member in site.members) for lines in ("AB", "BC", "CA", "")}
    assert count == {"AB": 10, "BC": 14, "CA": 14, "": 16}
    assert {member.rating_a for member in site.members} == {32.0}
    assert [(node.name, node.voltage_v, node.limit_a, node.lines) for node in site.nodes] == [
        ("primary", 480.0, 180.5, ""),
        ("secondary", 208.0, 416.66, ""),
        ("cc-pod", 208.0, 80.0, "AB"),
        ("av-pod", 208.0, 80.0, "AB"),
    ]
    found = shares(CONFIGS / "sites" / "caltech.toml")
    assert len(found) == 54
    pods = {member.name for member in site.members if not member.lines}
    assert {value for name, value in found.items() if name in pods} == {(10.0, "node cc-pod"), (10.0, "node av-pod")}
    assert {value for name, value in found.items() if name not in pods} == {(11.8, "node primary A")}


@pytest.mark.parametrize(
    ("stem", "building", "amps"),
    [
        ("dynamic", (300.0, 280.0, 310.0), [31.6, 25.9, 25.9] * 2),
        ("dynamic", (0.0, 0.0, 0.0), [48.0] * 6),
        ("split_phase", (70.0, 120.0), [20.0, 20.0]),
        ("split_phase", (100.0, 50.0), [30.0, 30.0]),
    ],
)
def test_a_building_leaves_the_rest(stem: str, building: tuple[float, ...], amps: list[float]) -> None:
    # 90 A on C are 2 x 25.98 A on BC and on CA; 100 A on A and 120 A on B leave room for more on AB alone.
    tree = read_site(CONFIGS / "sites" / f"{stem}.toml").tree
    found = allocate(tree, [Claim(6.0, 48.0)] * len(tree.site.members), {"service": building})
    assert [share.amps for share in found] == amps


# What a file becomes


def test_a_minimal_site_has_the_defaults(file: Path) -> None:
    site = read_of(file, HEAD, PANEL, STATION).tree.site
    assert site.name == "Here"
    assert site.nodes == (Node("panel", Kind.PANEL, voltage_v=208.0, limit_a=200.0),)
    assert site.members == (Member("s", "panel", 48.0),)
    assert (site.meters, site.timing) == ((), Timing())


def test_every_key_reaches_its_field(file: Path) -> None:
    site = read_of(
        file,
        HEAD,
        "[timing]\nreport_s = 5\nlease_s = 40\nhold_s = 100\ndrift = 0.02\nstagger_s = 3\nturn_s = 600\n",
        node("feed", "service", "", 'phases = "three"', "voltage_v = 480"),
        node("panel", "transformer", "feed", 'winding = "delta-wye"', "voltage_v = 208", 'rule = "phasor"'),
        node("c", "circuit", "panel", 'phases = "single"', 'lines = "BC"', "min_power_factor = 0.9"),
        station("s", "panel", 'lines = "CA"', "min_a = 8", "weight = 2", "priority = 3", "settle_s = 7"),
        station("t", "c", "fallback_a = 10", "keeps_quiet = false", rating="rating_a = 40"),
        '[[meter]]\nname = "m"\nnode = "panel"\nmeasures = "building"\nperiod_s = 2\nstale_after_s = 20\n',
        "worst_a = 90\nmargin_a = 4\nlines_sure = true\nangle_deg = 20\nramp_a_per_s = 1\n",
    ).tree.site
    assert site.timing == Timing(5.0, 40.0, 100.0, 0.02, 3.0, 600.0)
    assert site.nodes == (
        Node("feed", Kind.SERVICE, None, Phases.THREE, 480.0, 100.0),
        Node("panel", Kind.TRANSFORMER, "feed", Phases.THREE, 208.0, 100.0, rule=Rule.PHASOR, winding="delta-wye"),
        Node("c", Kind.CIRCUIT, "panel", Phases.SINGLE, 208.0, 100.0, lines="BC", min_power_factor=0.9),
    )
    assert site.members == (
        Member("s", "panel", 48.0, "CA", min_a=8.0, weight=2.0, priority=3, settle_s=7.0),
        Member("t", "c", 40.0, fallback_a=10.0, keeps_quiet=False),
    )
    assert site.meters == (Meter("m", "panel", Measures.BUILDING, 2.0, 20.0, 90.0, 4.0, True, 20.0, 1.0),)


@pytest.mark.parametrize(
    ("written", "amps", "shown"),
    [
        ("limit_a = 120.5", 120.5, "120.5 A"),
        ("breaker_a = 60\nderating = 0.8", 48.0, "60 A breaker x 0.8"),
        ("breaker_a = 60\nderating = 1.0", 60.0, "60 A breaker x 1"),
        ("kva = 75", 75_000 / 208 / sqrt(3), "75 kVA"),
        ("kva = 75\nderating = 0.9", 67_500 / 208 / sqrt(3), "75 kVA x 0.9"),
        ('kva = 25\nphases = "split"\nvoltage_v = 240', 25_000 / 240, "25 kVA"),
        ('kva = 10\nphases = "single"', 10_000 / 208, "10 kVA"),
    ],
)
def test_a_limit_comes_to_amperes_of_each_line(file: Path, written: str, amps: float, shown: str) -> None:
    read = read_of(file, HEAD, node("panel", "panel", "", limit=written), STATION)
    assert read.tree.site.nodes[0].limit_a == pytest.approx(amps, abs=1e-6)
    assert read.written == {"panel": shown}


def test_a_budget_is_in_kilowatts_and_its_sites_stand_on_their_own(file: Path) -> None:
    budget = node("all", "budget", "", limit="limit_kw = 12.5")
    site = read_of(file, HEAD, node("panel", "panel", "all", 'phases = "split"', limit="kva = 24"), budget, STATION)
    panel, all_ = site.tree.site.nodes
    assert (all_.limit_w, all_.limit_a, site.written["all"]) == (12_500.0, inf, "12.5 kW")
    assert (panel.voltage_v, panel.phases) == (208.0, Phases.SPLIT)


@pytest.mark.parametrize(
    ("above", "further", "volts", "phases"),
    [
        ('phases = "three"', (), 208.0, Phases.THREE),
        ('phases = "split"\nvoltage_v = 240', (), 240.0, Phases.SPLIT),
        ('phases = "split"\nvoltage_v = 240', ('phases = "single"', 'lines = "L1N"'), 120.0, Phases.SINGLE),
        ("voltage_v = 480", ('phases = "single"', 'lines = "CA"'), 480.0, Phases.SINGLE),
        ("voltage_v = 480", ('phases = "single"', 'lines = "BN"'), 480 / sqrt(3), Phases.SINGLE),
        ("voltage_v = 480", ('phases = "single"',), 480.0, Phases.SINGLE),
        (
            "voltage_v = 480",
            ('phases = "split"', 'lines = "CA"', 'winding = "single"', "voltage_v = 240"),
            240.0,
            Phases.SPLIT,
        ),
    ],
)
def test_phases_and_volts_come_from_above(
    file: Path, above: str, further: tuple[str, ...], volts: float, phases: Phases
) -> None:
    # The child is written before its parent, and has one of its own.
    lower, low = node("low", "panel", "panel", *further), node("lowest", "circuit", "low")
    site = read_of(file, HEAD, low, lower, node("panel", "panel", "", above), STATION).tree.site
    assert [(one.name, one.phases) for one in site.nodes[:2]] == [("lowest", phases), ("low", phases)]
    assert [one.voltage_v for one in site.nodes[:2]] == pytest.approx([volts, volts])


def test_a_table_may_stand_for_several(file: Path) -> None:
    counted = station("s", "panel", "count = 4", 'lines = ["AB", "BC", "CA"]', "priority = 2")
    listed = station("x", "panel", 'lines = ["BC", "CA"]').replace('"x"', '["left", "right"]')
    members = read_of(file, HEAD, PANEL, counted, listed).tree.site.members
    assert [(member.name, member.lines) for member in members] == [
        ("s1", "AB"),
        ("s2", "BC"),
        ("s3", "CA"),
        ("s4", "AB"),
        ("left", "BC"),
        ("right", "CA"),
    ]
    assert [member.priority for member in members] == [2, 2, 2, 2, 0, 0]


@pytest.mark.parametrize(
    ("model", "switch", "rating"), [("48A", "B", 48.0), ("48A", "8", 32.0), ("80A", "e", 80.0), ("80A", "0", 6.0)]
)
def test_a_group_has_the_rating_of_its_switch_and_comes_after_all_stations(
    file: Path, model: str, switch: str, rating: float
) -> None:
    members = read_of(file, HEAD, PANEL, group(switch=switch, model=model, stations=5), STATION).tree.site.members
    assert members == (Member("s", "panel", 48.0), Member("g", "panel", rating, stations=5, settle_s=13.5))


def test_a_group_may_take_longer_to_come_down(file: Path) -> None:
    site = read_of(file, HEAD, PANEL, group("settle_s = 20", 'lines = "AB"')).tree.site
    assert site.members == (Member("g", "panel", 48.0, "AB", stations=3, settle_s=20.0),)


def test_fallbacks_are_chosen_where_none_is_written(file: Path) -> None:
    read = read_of(file, HEAD, PANEL, station("s", "panel", "count = 4"), station("t", "panel", "fallback_a = 40"))
    assert read.fallbacks_a == [40.0, 40.0, 40.0, 40.0, 40.0]
    read = read_of(file, HEAD, PANEL, station("s", "panel", "count = 4"), station("t", "panel", "fallback_a = 0"))
    assert read.fallbacks_a == [48.0, 48.0, 48.0, 48.0, 0.0]


# What is refused


@pytest.mark.parametrize(
    ("parts", "error"),
    [
        # a tree that is none
        (
            (node("a", "panel", "b"), node("b", "panel", "a"), PANEL),
            [
                "node[0].parent: expected a tree: a is above itself",
                "node[1].parent: expected a tree: b is above itself",
            ],
        ),
        (
            (PANEL.replace("limit", 'parent = "panel"\nlimit'),),
            ["node: expected one node without a parent", "above itself"],
        ),
        ((node("feed", "service", ""), PANEL), ["node[1].parent: expected a parent: the root is feed"]),
        (
            (PANEL, node("c", "circuit", "panl")),
            ["node[1].parent: expected the name of a node (got panl), did you mean panel?"],
        ),
        ((PANEL, PANEL), ["node[1].name: expected a name of its own (got panel twice)", "node[1].parent: "]),
        # a child that can't be below its parent
        (
            (PANEL, node("up", "service", "panel")),
            ["node[1].parent: a service can't be below a panel (panel)"],
        ),
        (
            (PANEL.replace("limit", 'phases = "single"\nlimit'), node("c", "circuit", "panel", 'phases = "three"')),
            ["node[1].phases: three phase can't come from panel, which is single phase"],
        ),
        ((PANEL, node("c", "circuit", "panel", 'lines = "AB"')), ["node[1].lines: expected none"]),
        (
            (PANEL, node("c", "circuit", "panel", 'phases = "single"', 'lines = "L1N"')),
            ["node[1].lines: expected lines of panel: AB, BC, CA, AN, BN, CN (got L1N)"],
        ),
        (
            (PANEL, node("c", "panel", "panel", "voltage_v = 240")),
            ["node[1].voltage_v: expected 208 as in panel, or a w"],
        ),
        (
            (PANEL, node("c", "panel", "panel", 'winding = "single"', "voltage_v = 240")),
            ["node[1].winding: single can't feed three phase from panel"],
        ),
        ((PANEL, node("c", "panel", "panel", 'phases = "split"')), ['node[1].winding: expected winding = "single"']),
    ],
)
def test_a_tree_that_does_not_fit_is_refused_by_file_and_key(
    file: Path, parts: tuple[str, ...], error: list[str]
) -> None:
    said = errors_of(file, HEAD, *parts, STATION)
    assert len(said) == len(error)
    assert all(start in line for line, start in zip(said, error, strict=True))


def test_a_site_of_no_node_or_of_nobody_is_refused(file: Path) -> None:
    assert errors_of(file, "node = []\n", HEAD, STATION) == [
        "node: expected one node without a parent, the root (got none)",
        "station[0].node: expected the name of a node (got panel)",
    ]
    assert errors_of(file, HEAD, STATION) == ["node: expected this key (it is missing)"]
    assert errors_of(file, HEAD, PANEL) == ["expected at least one [[station]] or [[group]] (got none)"]
    assert errors_of(file, PANEL, STATION) == ["site: expected this key (it is missing)"]


@pytest.mark.parametrize(
    ("limit", "error"),
    [
        ("", "node[0]: expected one of limit_a, breaker_a, kva (got none)"),
        ("limit_a = 100\nkva = 5", "node[0]: expected one of limit_a, breaker_a, kva (got limit_a and kva)"),
        ("breaker_a = 60", "node[0].derating: expected this key beside breaker_a, 0.8 for loads that last hours"),
        ("limit_a = 60\nderating = 0.8", "node[0].derating: expected it beside breaker_a or kva only"),
        ("breaker_a = 60\nderating = 80", "node[0].derating: expected a number from 0.1 to 1 (got 80)"),
        ("limit_a = 0", "node[0].limit_a: expected a number from 1 to 100000 (got 0)"),
        ("limit_a = nan", "node[0].limit_a: expected a number from 1 to 100000 (got nan)"),
        (
            "limit_a = 5\nlimit_kw = 5",
            'node[0].limit_kw: not a key of kind = "panel", expected name, kind, parent, limit_a',
        ),
        ('limit_a = 5\nrule = "vector"', 'node[0].rule: expected "scalar" or "phasor" (got "vector")'),
        ('limit_a = 5\nphases = "two"', 'node[0].phases: expected "single", "split" or "three" (got "two")'),
        ('limit_a = 5\nphase = "three"', 'node[0].phase: not a key of kind = "panel", '),
        ('limit_a = 5\nlines = "AB"', "node[0].lines: expected none: it has no parent"),
        ('limit_a = 5\nlines = "BA"', 'node[0].lines: expected "L1L2", "L1N", "L2N", "AB", '),
        ('limit_a = 5\nwinding = "wye-wye"', "node[0].voltage_v: expected this key beside winding"),
        ("limit_a = 5\nmin_power_factor = 0.4", "node[0].min_power_factor: expected a number from 0.5 to 1 (got 0.4)"),
    ],
)
def test_a_node_by_itself_is_refused(file: Path, limit: str, error: str) -> None:
    (said,) = errors_of(file, HEAD, node("panel", "panel", "", limit=limit), STATION)
    assert said.startswith(error)


def test_an_unknown_key_or_kind_has_a_suggestion(file: Path) -> None:
    (said,) = errors_of(file, HEAD, PANEL, node("c", "circuit", "panel", "braker_a = 60"), STATION)
    assert said.endswith('(got "braker_a"), did you mean breaker_a?')
    (said,) = errors_of(file, HEAD, PANEL, node("c", "circit"), STATION)
    assert said == (
        'node[1].kind: expected "budget", "service", "transformer", "panel" or "circuit" (got "circit"), '
        "did you mean circuit?"
    )
    (said,) = errors_of(file, HEAD, PANEL.replace('kind = "panel"\n', ""), STATION)
    assert said == "node[0].kind: expected this key (it is missing)"
    (said,) = errors_of(file, HEAD, PANEL, STATION, "[[stations]]\n")
    assert said.startswith("stations: unknown key, expected site, timing, node, station, group, meter")


def test_a_budget_has_no_conductor(file: Path) -> None:
    budget = node("all", "budget", "", "voltage_v = 208", limit="limit_a = 5")
    said = errors_of(file, HEAD, budget, node("panel", "panel", "all"), STATION)
    assert [line[:30] for line in said] == [
        "node[0].limit_a: not a key of ",
        "node[0].limit_kw: expected thi",
        "node[0].voltage_v: not a key o",
    ]
    budget = node("all", "budget", "", limit="limit_kw = 5")
    (said_of,) = errors_of(file, HEAD, budget, node("panel", "panel", "all"), station("s", "all"))
    assert said_of == "station[0].node: expected a node with lines (got all, a budget)"


@pytest.mark.parametrize(
    ("table", "error"),
    [
        (station(rating=""), "station[0]: expected one of model, rating_a (got none)"),
        (
            station("s", "panel", "rating_a = 32"),
            "station[0]: expected one of model, rating_a (got model and rating_a)",
        ),
        (station(rating='model = "64A"'), 'station[0].model: expected "48A" or "80A" (got "64A")'),
        (station("s", "here"), "station[0].node: expected the name of a node (got here)"),
        (station("s", "panels"), "station[0].node: expected the name of a node (got panels), did you mean panel?"),
        (station("s s"), "station[0].name: expected a name of 1 to 32 letters"),
        (station("s", "panel", "min_a = 5"), "station[0].min_a: expected a number from 6 to 100 (got 5)"),
        (station("s", "panel", "min_a = 50"), "station[0].min_a: expected 0 < min_a <= rating (got 50 and 48)"),
        (station("s", "panel", "weight = 0"), "station[0].weight: expected a number from 0.01 to 1000 (got 0)"),
        (station("s", "panel", "priority = 0.5"), "station[0].priority: expected a whole number"),
        (station("s", "panel", "settle_s = 5"), "station[0].settle_s: expected a number from 6.5 to 600 (got 5)"),
        (station("s", "panel", 'lines = "XY"'), 'station[0].lines: expected "L1L2", "L1N", "L2N", "AB", "BC", "CA"'),
        (
            station("s", "panel", 'lines = "L1N"'),
            "station[0].lines: expected one of AB, BC, CA, AN, BN, CN, ABC of panel",
        ),
        (station("s", "panel", 'lines = ["AB"]'), "station[0].lines: expected one connection: a list is for several"),
        (station("s", "panel", "count = 2", "lines = []"), "station[0].lines: expected at least one (got none)"),
        (station("s", "panel", "count = 0"), "station[0].count: expected a whole number from 1 to 10000 (got 0)"),
        (
            station("s" * 32, "panel", "count = 2"),
            "station[0].name: expected a name of at most 32 letters with its num",
        ),
        (
            station("s", "panel", "count = 2").replace('"s"', '["s", "t"]'),
            "station[0].count: expected it beside a single",
        ),
        (station().replace('"s"', "[]"), "station[0].name: expected at least one name (got none)"),
        (station().replace('"s"', '["s", "s"]'), "station[0].name: expected a name of its own (got s twice"),
        (station("s", "panel", "fallback_a = 5"), "station[0].fallback_a: expected 0, or 6 to 48 (got 5)"),
        (group(switch="F"), 'group[0].switch: expected a primary\'s position (got "F")'),
        (
            group(switch="E"),
            "group[0].switch: expected a primary's position: Switch position E sets 80 A, more than a 48A",
        ),
        (group(switch="G"), "group[0].switch: expected a switch position, one hex digit"),
        (group(stations=6), "group[0].stations: expected a whole number from 1 to 5 (got 6)"),
        (group("settle_s = 13"), "group[0].settle_s: expected a number from 13.5 to 600 (got 13)"),
        (group("rating_a = 40"), "group[0].rating_a: unknown key, "),
    ],
)
def test_a_station_or_group_is_refused_by_its_own_table(file: Path, table: str, error: str) -> None:
    (said,) = errors_of(file, HEAD, PANEL, table)
    assert said.startswith(error)


def test_a_station_on_two_nodes_is_refused(file: Path) -> None:
    (said,) = errors_of(file, HEAD, PANEL, node("c", "circuit"), STATION, station("s", "c"))
    assert said == "station[1].name: expected a name of its own (got s twice, on panel and on c)"
    (said,) = errors_of(
        file, HEAD, PANEL, node("c", "circuit"), group().replace('"g"', '"s2"'), station("s", "c", "count = 3")
    )
    assert said == "group[0].name: expected a name of its own (got s2 twice, on c and on panel)"


def test_fallbacks_that_do_not_fit_are_refused_at_each_of_them(file: Path) -> None:
    circuit = node("c", "circuit", "panel", limit="limit_a = 60")
    tables = (station("s", "c", "fallback_a = 20"), station("t", "c", "count = 2", "fallback_a = 21"), group())
    said = errors_of(file, HEAD, PANEL, circuit, *tables)
    text = "the fallbacks below c come to 62.0 A of 60.0 A"
    assert said == [f"station[0].fallback_a: {text}", f"station[1].fallback_a: {text}"]


@pytest.mark.parametrize(
    ("further", "error"),
    [
        ("", "meter[0].measures: expected this key (it is missing)"),
        ('measures = "all"', 'meter[0].measures: expected "building" or "total" (got "all")'),
        ('measures = "total"', "meter[0].measures: expected the lines of every station below panel"),
        (
            'measures = "building"\nstale_after_s = 0.5',
            "meter[0].stale_after_s: expected at least its period (got 0.5)",
        ),
        ('measures = "building"\nperiod_s = 0', "meter[0].period_s: expected a number from 0.1 to 3600 (got 0)"),
        ('measures = "building"\nworst_a = inf', "meter[0].worst_a: expected a number from 0 to 100000 (got inf)"),
        ('measures = "building"\nangle_deg = 91', "meter[0].angle_deg: expected a number from 0 to 90 (got 91)"),
        ('measures = "building"\nramp = 2', "meter[0].ramp: unknown key, "),
    ],
)
def test_a_meter_is_refused(file: Path, further: str, error: str) -> None:
    (said,) = errors_of(file, HEAD, PANEL, STATION, f'[[meter]]\nname = "m"\nnode = "panel"\n{further}\n')
    assert said.startswith(error)


@pytest.mark.parametrize(
    ("times", "error"),
    [
        ("lease_s = 20", "timing.lease_s: expected at least 4 reports of 10 s (got 20)"),
        ("hold_s = 30", "timing.hold_s: expected at least "),
        ("drift = 0.001", "timing.drift: expected a number from 0.01 to 0.1 (got 0.001)"),
        (
            "lease = 60",
            'timing.lease: unknown key, expected report_s, lease_s, hold_s, drift, stagger_s, turn_s (got "le',
        ),
    ],
)
def test_times_are_refused(file: Path, times: str, error: str) -> None:
    (said,) = errors_of(file, HEAD, f"[timing]\n{times}\n", PANEL, STATION)
    assert said.startswith(error)


def test_all_errors_of_a_file_come_at_once_in_its_order(file: Path) -> None:
    said = errors_of(
        file,
        HEAD.replace("Here", ""),
        "[timing]\nlease_s = 0\n",
        node("a", "panel", "b", "limit_a = -1", limit=""),
        node("b", "panel", "a", "colour = 3"),
        PANEL,
        station("s", "pnel", "weight = -1"),
        station("t", "nowhere", "count = 3"),
        station("t2", "panel"),
        group(switch="H"),
        '[[meter]]\nname = "m"\nnode = "q"\nmeasures = "none"\n',
        '[[meter]]\nnode = "q"\nmeasures = "total"\n',
    )
    assert [line.split(":")[0] for line in said] == [
        "group[0].switch",
        "meter[0].measures",
        "meter[0].node",
        "meter[1].name",
        "node[0].limit_a",
        "node[0].parent",
        "node[1].colour",
        "node[1].parent",
        "site.name",
        "station[0].node",
        "station[0].weight",
        "station[1].node",
        "station[2].name",
        "timing.lease_s",
    ]
    assert said[9].endswith("did you mean panel?")
    assert said[12] == "station[2].name: expected a name of its own (got t2 twice, on nowhere and on panel)"


@pytest.mark.parametrize("broken", ["node = 3\n", "node = [3]\n", 'node = [{name = "panel"}]\n'])
def test_nothing_is_said_of_the_tree_while_its_nodes_are_not_known(file: Path, broken: str) -> None:
    said = errors_of(file, broken, HEAD, STATION, "colour = 1\n")
    assert [line.split(":")[0] for line in said][1:] == ["station[0].colour"]
    assert said[0].startswith("node")


def test_a_file_that_is_no_site_is_refused(file: Path) -> None:
    assert errors_of(file, "[site") == ["not TOML: Expected ']' at the end of a table declaration (at end of document)"]
    with pytest.raises(ConfigError, match="can't be read"):
        read_site(file.with_name("none.toml"))
