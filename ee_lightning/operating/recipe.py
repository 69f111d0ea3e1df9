"""A criterion as a few values that a file can hold."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import import_module
from sys import modules
from typing import Any

from ee_lightning.errors import OptionError
from ee_lightning.exits import Criterion
from ee_lightning.exits.fitted import Fitted
from ee_lightning.operating.construction import construct


@dataclass(frozen=True)
class CriterionRecipe:
    """How to make a criterion anew, in values that JSON knows.

    Attributes:
        class_path: Where to import the class from, such as ``ee_lightning.exits.Voting``.
        init_args: The options it was given.
        fitted: What a `Fitted` criterion learnt from held-out data, its ``fitted``.
    """

    class_path: str
    init_args: Mapping[str, Any] = field(default_factory=dict)
    fitted: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def from_fields(cls, fields: Mapping[str, Any]) -> "CriterionRecipe":
        """Take a recipe from a file, which must not make this program import anything.

        Args:
            fields: Its attributes.

        Raises:
            OptionError: They make no sense, or the class is neither one of ours nor was imported beforehand.
        """
        recipe = construct(cls, fields)
        module, _, name = recipe.class_path.rpartition(".")
        if module not in modules or name not in vars(modules[module]):
            raise OptionError(
                f"{recipe.class_path!r} is no criterion of ours; one of your own has to be imported beforehand",
                where="class_path",
                mend="give the full name of a class, such as ee_lightning.exits.Voting",
            )
        return recipe

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
                mend="give the full name of a class, such as ee_lightning.exits.Voting",
            )
        criterion: Criterion = construct(found, self.init_args)
        if isinstance(criterion, Fitted) and self.fitted:
            criterion.restore(self.fitted)
        return criterion
