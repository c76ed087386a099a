"""The base of all models of the API, and how CEL rules stand on them. Nothing here knows a kind."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import ClassVar, TypeVar

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel

from provider.api.rules.rule import Rule


class Model(BaseModel):
    """Frozen, camelCase outside, snake_case inside, bad values never printed.

    Unknown fields are ignored, so that an older provider survives objects written for a newer one; the API server refuses them where
    users write them.
    """

    model_config = ConfigDict(
        frozen=True, alias_generator=to_camel, populate_by_name=True, extra="ignore", hide_input_in_errors=True
    )
    cel_rules: ClassVar[tuple[Rule, ...]] = ()
    """x-kubernetes-validations of the object."""


M = TypeVar("M", bound=Model)
RuleSource = Rule | Callable[[type[Model]], Iterable[Rule]]
"""A rule, or what makes rules from the fields of the model that it stands on."""


def validated_by(*sources: RuleSource) -> Callable[[type[M]], type[M]]:
    """Class decorator: puts rules on a model. As a decorator, because rules made from fields need the finished class."""

    def attach(model: type[M]) -> type[M]:
        model.cel_rules = tuple(rule for source in sources for rule in ([source] if isinstance(source, Rule) else source(model)))
        return model

    return attach
