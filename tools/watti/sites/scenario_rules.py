"""What the tables of a site's scenario may say."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Self

import voluptuous as vol

from cloud.policies import POLICIES
from cloud.site import Site
from firmware.config import Check, Fields, choice, each, expected, flag, integer, number, required, table, text
from hal.simulated.vehicle_spec import SPAN_S
from watti.scenario import DEFAULT_VEHICLE, SEED_MAX, VEHICLE, Event, moment, named
from watti.sites.arrivals import PRIORITY, WEIGHT, places
from watti.sites.csv_file import clock_time
from watti.sites.generator import HABITS
from watti.sites.load import MOST_A
from watti.sites.world import METER_FAULTS

UNCONTROLLED = "uncontrolled"
"""No controller at all: what would happen without one."""
CHOICES = (*POLICIES, UNCONTROLLED)
"""Who decides."""


class Known(NamedTuple):
    """What names a file may use; any where the site is not known."""

    vehicle: Check
    station: Check
    member: Check
    meter: Check
    node: Check

    @classmethod
    def of(cls, site: Site | None, vehicles: Sequence[str]) -> Self:
        if site is None:
            return cls(choice(*vehicles), text, text, text, text)
        lists = (
            places(site.members),
            *([one.name for one in ones] for ones in (site.members, site.meters, site.nodes)),
        )
        return cls(choice(*vehicles), *(_one_of(list(names)) for names in lists))


def _one_of(names: Sequence[str]) -> Check:
    def none(value: Any) -> Any:
        raise expected("nothing: the site has none", value)

    return choice(*names) if names else none


def rules(document: Mapping[str, Any], known: Known) -> vol.Schema:
    return vol.Schema(
        table(
            {
                required("scenario"): _SCENARIO,
                vol.Optional("network", default=dict): _NETWORK,
                vol.Optional("load", default=dict): table({vol.Optional("csv"): text}),
                vol.Optional("arrivals", default=dict): _arrivals(known),
                vol.Optional("vehicle", default=list): named(VEHICLE),
                vol.Optional("event", default=list): each(_event(_further_keys(known), moment(document))),
            }
        )
    )


def _arrivals(known: Known) -> Check:
    fields = table(
        {
            vol.Optional("csv"): text,
            vol.Optional("generator"): table(_GENERATOR),
            vol.Optional("vehicle", default=DEFAULT_VEHICLE): known.vehicle,
        }
    )

    def check(value: Any) -> Any:
        valid = fields(value)
        if "csv" in valid and "generator" in valid:
            raise vol.Invalid("expected csv or generator (got both)")
        return valid

    return check


def _event(further_keys: Mapping[str, Fields], at: Check) -> Check:
    do = choice(*further_keys)
    no_do = table({required("do"): do})
    checks = {
        word: table({required("at_s"): at, required("do"): do, **fields}, f'not a key of do = "{word}"')
        for word, fields in further_keys.items()
    }

    def check(value: Any) -> Event:
        if not isinstance(value, dict):
            raise expected("a table", value)
        known = isinstance(value.get("do"), str) and value["do"] in checks
        valid = checks[value["do"]](value) if known else no_do({key: value[key] for key in value.keys() & {"do"}})
        at_s, word, station = valid.pop("at_s"), valid.pop("do"), valid.pop("station", None)
        return Event(at_s, word, station, valid)

    return check


def _further_keys(known: Known) -> Mapping[str, Fields]:
    """The keys of each `do`."""
    station: Fields = {required("station"): known.station}
    member: Fields = {required("station"): known.member}
    span: Fields = {required("for_s"): _SPAN}
    wish: Fields = {vol.Optional("weight"): WEIGHT, vol.Optional("priority"): PRIORITY}
    return {
        "plug": {**station, vol.Optional("vehicle", default=DEFAULT_VEHICLE): known.vehicle, **wish},
        "unplug": station,
        "power_off": member,
        "power_on": member,
        "restart": member,
        "offline": {**member, **span},
        "meter": {required("meter"): known.meter, required("fault"): choice(*METER_FAULTS), **span},
        "load": {required("node"): known.node, required("amps"): _amps, vol.Optional("for_s"): _SPAN},
        "controller_off": span,
    }


def _amps(value: Any) -> Any:
    """Of all lines of a node, or of each."""
    one = number(-MOST_A, MOST_A)
    return each(one)(value) if isinstance(value, list) else one(value)


def _at_least_one(value: Any) -> Any:
    if value == []:
        raise expected("at least one number", value)
    return tuple(each(number(1, 100))(value))


_SPAN = number(*SPAN_S)
_SCENARIO = table(
    {
        required("site"): text,
        required("duration_s"): _SPAN,
        vol.Optional("seed", default=1): integer(0, SEED_MAX),
        vol.Optional("policy", default="equal"): choice(*CHOICES),
        vol.Optional("firmware", default=False): flag,
        vol.Optional("begins", default="00:00"): clock_time,
    }
)
_NETWORK = table(
    {vol.Optional("delay_s", default=0.1): number(0, 60), vol.Optional("loss", default=0.0): number(0, 0.9)}
)
_HOURS, _KWH = number(0, 48), number(0.1, 500)
_GENERATOR: Fields = {
    required("kind"): choice(*HABITS),
    vol.Optional("arrives_h"): number(0, 24),
    vol.Optional("arrives_sd_h"): number(0, 4),  # more would mix up the days
    vol.Optional("stays_sd_h"): number(0, 24),
    vol.Optional("stays_h"): _HOURS,
    vol.Optional("energy_kwh"): _KWH,
    vol.Optional("energy_sd_kwh"): number(0, 500),
    vol.Optional("use"): number(0, 1),
    vol.Optional("max_a"): _at_least_one,
}
