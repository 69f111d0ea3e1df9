"""A criterion as a few values that a file can hold."""

import inspect
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import import_module
from sys import modules
from typing import Annotated, Any, get_type_hints

from pydantic import AfterValidator

from ee_lightning.errors import OptionError
from ee_lightning.exits import Criterion
from ee_lightning.exits.fitted import Fitted
from ee_lightning.typed import typed

_EXAMPLE = "give the full name of a class, such as ee_lightning.exits.Voting"


def _known(class_path: str) -> str:
    """Return the name of a class from a file, which must not make this program import anything."""
    module, _, name = class_path.rpartition(".")
    if module not in modules or name not in vars(modules[module]):
        raise OptionError(
            f"{class_path!r} is no criterion of ours; one of your own has to be imported beforehand",
            where="class_path",
            mend=_EXAMPLE,
        )
    return class_path


@dataclass(frozen=True)
class CriterionRecipe:
    """How to make a criterion anew, in values that JSON knows.

    Attributes:
        class_path: Where to import the class from, such as ``ee_lightning.exits.Voting``.
        init_args: The options it was given.
        fitted: What a `Fitted` criterion learnt from held-out data, its ``fitted``.
    """

    class_path: Annotated[str, AfterValidator(_known)]
    init_args: Mapping[str, Any] = field(default_factory=dict)
    fitted: Mapping[str, Any] = field(default_factory=dict)

    def build(self) -> Criterion:
        """Make the criterion.

        Raises:
            OptionError: There is no such criterion, or it does not take these options, or not such values.
        """
        module, _, name = self.class_path.rpartition(".")
        try:
            found = getattr(import_module(module), name)
        except (ImportError, AttributeError, ValueError):
            found = None
        if not (isinstance(found, type) and issubclass(found, Criterion)):
            raise OptionError(
                f"there is no criterion {self.class_path!r}",
                where="class_path",
                mend=_EXAMPLE,
            )
        criterion: Criterion = found(**_options(found, self.init_args))
        if isinstance(criterion, Fitted) and self.fitted:
            criterion.restore(self.fitted)
        return criterion


def _made(recipe: CriterionRecipe) -> CriterionRecipe:
    recipe.build()
    return recipe


StoredRecipe = Annotated[CriterionRecipe, AfterValidator(_made)]
"""A recipe that a file holds, whose criterion can be made."""


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
            mend=f"it takes {kind.__name__}{takes}",
        ) from error
