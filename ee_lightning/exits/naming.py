"""Criteria by their names, and how to make them again."""

import ast
import inspect
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Annotated, Any, get_type_hints

from pydantic import AfterValidator

from ee_lightning import exits
from ee_lightning.errors import OptionError, did_you_mean, first_line
from ee_lightning.exits.criterion import CONTRACT, Criterion
from ee_lightning.exits.fitted import Fitted
from ee_lightning.files import check_imported, class_at, typed

_CRITERION = re.compile(r"\s*([\w.]+)\s*(?:\(\s*((?:[^()]|\([^()]*\))*)\))?\s*(?:,|$)")
_OPTION = re.compile(r"\s*(\w+)\s*=\s*((?:[^,\[\](){}]|\([^()]*\))+?|\[[^\[\]{}]*\])\s*(?:,\s*|$)")


def _known() -> str:
    return f"{', '.join(exits.CRITERIA)}, or one of your own, such as my_module.MyCriterion"


@dataclass(frozen=True)
class CriterionSpec:
    """How to construct a criterion, in values that JSON knows.

    Attributes:
        class_path: Where to import the class from, such as ``ee_lightning.exits.Voting``.
        init_args: The options it was given.
        fitted: What a `Fitted` criterion learnt from held-out data, its ``fitted``.
    """

    class_path: Annotated[str, AfterValidator(partial(check_imported, what="criterion"))]
    init_args: Mapping[str, Any] = field(default_factory=dict)
    fitted: Mapping[str, Any] = field(default_factory=dict)

    @property
    def kind(self) -> type[Criterion]:
        """The class; an OptionError if it can't be imported, or is no criterion that can judge anything."""
        found: type[Criterion] = class_at(self.class_path, Criterion, "criterion", such_as="ee_lightning.exits.Voting")
        if lacks := sorted(found.__abstractmethods__):
            what = f"{found.__name__} lacks the method {' and '.join(lacks)}"
            raise OptionError(what, where=f"class_path {self.class_path}", hint=CONTRACT)
        return found

    def build(self) -> Criterion:
        """Make the criterion.

        Raises:
            OptionError: There is no such criterion, or it does not take these options, or not such values.
        """
        kind = self.kind
        criterion = kind(**_options(kind, self.init_args))
        if isinstance(criterion, Fitted) and self.fitted:
            criterion.restore(self.fitted)
        return criterion


def _made(spec: CriterionSpec) -> CriterionSpec:
    spec.build()
    return spec


StoredSpec = Annotated[CriterionSpec, AfterValidator(_made)]
"""A specification that a file holds, whose criterion can be made."""


def _options(kind: type[Criterion], given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options of a criterion, after a check that it takes them, of these types."""
    signature, types = inspect.signature(kind), get_type_hints(kind.__init__)
    options, option, wrong = dict[str, Any](), "", ""
    try:
        for option, value in given.items():
            wrong = f"{option}={value!r:.60}"
            if option not in signature.parameters:
                raise TypeError(option)
            options[option] = typed(types.get(option, Any), value)
        option = wrong = ""
        signature.bind(**options)
        return options
    except (TypeError, ValueError) as error:
        takes = signature.replace(return_annotation=signature.empty)
        raise OptionError(
            f"{kind.__name__} got {wrong}" if wrong else f"{kind.__name__} is {error}",
            where=f"{kind.__name__}.{option}".rstrip("."),
            hint=f"it takes {kind.__name__}{takes}",
        ) from error


def criteria(text: str) -> list[CriterionSpec]:
    """Read criteria as tables name them, separated by commas.

    Args:
        text: Such as ``voting(k=0.5, fallback=majority), patience``.

    Raises:
        OptionError: A name is not known, the text can't be read, or there is no criterion in it.

    Example:
        >>> criteria("voting(k=0.5, fallback=majority), patience")[0].init_args
        {'k': 0.5, 'fallback': 'majority'}
    """
    read = _read_all(_CRITERION, text, hint="write voting(k=0.5),patience,entropy")
    specs = [_spec(found[1], found[2] or "") for found in read]
    if not specs:
        raise OptionError("no criterion is given", where="the list of criteria", hint=f"use some of {_known()}")
    return specs


def spec_of(criterion: str | Criterion | CriterionSpec) -> CriterionSpec:
    """Return the specification of a criterion, what it was fitted included.

    Args:
        criterion: A name such as ``voting(k=0.5)`` or ``my_module.MyCriterion(k=0.5)``, a criterion, or a
            specification.

    Raises:
        OptionError: The name can't be read or names several, or the criterion was not fitted yet, or it can't be made
            again from its class and options.

    Example:
        >>> spec_of("voting(k=0.5)") == spec_of(exits.Voting(k=0.5))
        True
    """
    if isinstance(criterion, CriterionSpec):
        return criterion
    if isinstance(criterion, str):
        specs = criteria(criterion)
        if len(specs) != 1:
            raise OptionError(f"{len(specs)} criteria are given", where="criterion", hint="give one at a time")
        return specs[0]
    if not isinstance(criterion, Criterion):
        raise OptionError(f"{criterion!r:.60} is no criterion", where="criterion", hint=f"use one of {_known()}")
    fitted = criterion.fitted if isinstance(criterion, Fitted) else {}
    spec = CriterionSpec(_path(type(criterion)), dict(criterion.init_args), fitted)
    try:
        again, written = spec.build(), json.loads(json.dumps(spec.init_args))
        is_kept = "init_args" in vars(criterion) or type(criterion).__init__ is object.__init__  # not so by @dataclass
        same = is_kept and (type(again), written) == (type(criterion), spec.init_args)
        why = "" if same else "another one comes out"
    except (OptionError, TypeError, ValueError) as error:
        why = first_line(error)
    if why:
        raise OptionError(
            f"{criterion!r} can't be made again from its class and options: {why}",
            where=spec.class_path,
            hint="define the class at the top of a module, with an __init__ whose options are numbers, texts, truth "
            "values, None or lists of them",
        )
    return spec


def _path(kind: type[Criterion]) -> str:
    return f"{exits.__name__ if kind in exits.CRITERIA.values() else kind.__module__}.{kind.__qualname__}"


def _spec(name: str, options: str) -> CriterionSpec:
    class_path = _path(exits.CRITERIA[name]) if name in exits.CRITERIA else name
    if "." not in class_path:
        raise OptionError(
            f"there is no criterion {name!r}",
            where="criterion",
            hint=f"{did_you_mean(name, exits.CRITERIA)}use some of {_known()}",
        )
    init_args: dict[str, object] = {}
    for found in _read_all(_OPTION, options, hint=f"write {name}(option=value), and lists as in beem(weights=[1, 2])"):
        if found[1] in init_args:
            raise OptionError(f"the option {found[1]} is given twice", where=f"{name}({options})", hint="give it once")
        init_args[found[1]] = _value(found[2])
    spec = CriterionSpec(class_path, init_args)
    if name not in exits.CRITERIA:
        spec.build()  # which imports it, for files that name it too
    return spec


def _value(text: str) -> object:
    """Read a number or a list of them; anything else is a word."""
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text


def _read_all(pattern: re.Pattern[str], text: str, hint: str) -> Iterator[re.Match[str]]:
    """Match a pattern again and again, up to the end of the text."""
    position = 0
    while position < len(text):
        found = pattern.match(text, position)
        if found is None:
            raise OptionError(f"{text[position:]!r} can't be read", where=text, hint=hint)
        yield found
        position = found.end()
