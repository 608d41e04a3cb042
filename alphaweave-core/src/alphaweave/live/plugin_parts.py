"""Monitors and risk rules: what a run has several of, made from plugins and their sections of the config."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from attrs import evolve, frozen

from alphaweave.core.errors import ConfigError
from alphaweave.core.scrubber import Scrubber
from alphaweave.live.adapters.base import Services
from alphaweave.live.config_sections import AdapterSection
from alphaweave.live.discretion import discreetly
from alphaweave.live.party import Party
from alphaweave.live.plugins import MonitorPlugin, RiskRulePlugin
from alphaweave.live.proposal import RiskRule
from alphaweave.monitoring.dashboard import DashboardMonitor
from alphaweave.monitoring.memory import InMemoryMonitor
from alphaweave.monitoring.monitor import Monitor

__all__ = ["Part", "PartMaker"]


@frozen
class Part:
    """One of them, with the options it was made from and the plugin that made it."""

    made: Any
    options: object
    party: Party


@frozen
class PartMaker:
    """Makes them. ``parsed`` reads an options block, ``services`` is what an adapter of that name gets."""

    parsed: Callable[[type, Mapping[str, Any], str], Any]
    services: Callable[[str], Services]
    scrubber: Scrubber
    origin: Callable[[object], str | None]

    def monitors(
        self, plugins: Sequence[MonitorPlugin], sections: Sequence[AdapterSection], memory: InMemoryMonitor
    ) -> list[Part]:
        """The monitors, in the order of the config; ``memory`` is what records the run anyway.

        Raises:
            ConfigError: options are wrong.
            AdapterFailed: a plugin raised, or made something else.
        """
        parts = []
        read = self._options("monitor", plugins, sections)
        for plugin, section, options in zip(plugins, sections, read, strict=True):
            part = self._make("monitor", Monitor, plugin, plugin.create, section.name, options=options)
            # A page needs no record of its own.
            page = isinstance(part.made, DashboardMonitor)
            parts.append(evolve(part, made=part.made.of(memory)) if page else part)
        return parts

    def rules(
        self, plugins: Sequence[RiskRulePlugin], sections: Sequence[AdapterSection]
    ) -> tuple[RiskRule, ...]:
        """The rules, in the order of the config.

        Raises:
            ConfigError, AdapterFailed: as `monitors`.
        """
        rules = []
        read = self._options("risk_rule", plugins, sections)
        for plugin, section, options in zip(plugins, sections, read, strict=True):
            create = partial(_rule, plugin)
            rules.append(
                self._make("risk_rule", RiskRule, plugin, create, section.name, options=options).made
            )
        return tuple(rules)

    def _options(
        self,
        what: str,
        plugins: Sequence[MonitorPlugin | RiskRulePlugin],
        sections: Sequence[AdapterSection],
    ) -> list[object]:
        """The options of each, before any is made: what is wrong with several is told at once."""
        read: list[object] = []
        errors: list[ConfigError] = []
        for number, (plugin, section) in enumerate(zip(plugins, sections, strict=True)):
            path = f"{what}s[{number}].options.{plugin.name}"
            try:
                read.append(self.parsed(plugin.options, section.block, path))
            except ConfigError as error:
                errors.append(error)
        if errors:
            first = errors[0]
            raise type(first)([one for error in errors for one in error.problems], first.source)
        return read

    def _make(
        self,
        what: str,
        kind: type,
        plugin: MonitorPlugin | RiskRulePlugin,
        create: Callable[[Any, Services], Any],
        name: str,
        *,
        options: object,
    ) -> Part:
        party = Party(what, plugin.name, self.origin(plugin))
        services = self.services(name)
        made = discreetly(self.scrubber, party.ask, "create", kind, create, options, services)
        return Part(made, options, party)


def _rule(plugin: RiskRulePlugin, options: object, services: Services) -> Any:
    rule = plugin.create(options, services)
    code, reductions = getattr(rule, "code", None), getattr(rule, "applies_to_reductions", None)
    if rule is not None and (not isinstance(code, str) or not code or not isinstance(reductions, bool)):
        raise TypeError("a rule has a code, a text, and applies_to_reductions, true or false")
    return rule
