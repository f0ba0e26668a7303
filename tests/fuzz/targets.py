"""All targets by name."""

from tests.fuzz import bus, files, memories, reports, sites, stations, talk

_ALL = (
    *(*bus.targets(), *reports.targets(), *stations.targets()),
    *(*files.targets(), *sites.targets(), *memories.targets(), *talk.targets()),
)
TARGETS = {target.name: target for target in _ALL}
