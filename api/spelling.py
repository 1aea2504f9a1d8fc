"""How texts are written: what no text may contain, and codes and telephone numbers, of which an example is shown."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Final

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

__all__ = ["Spelling", "is_storable", "misspelled", "sound"]

_UNSTORABLE: Final = re.compile("[\x00\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Spelling:
    """How a text is written; stands in ``Annotated[str, Spelling(…)]``.

    pydantic's own constraint names only the pattern, which helps nobody who is not a programmer.

    Parameters
    ----------
    pattern
        Of the whole text, as the OpenAPI document has it: a regular expression with ``^`` and ``$``.
    example
        A text that is written so. The fault (``request.misspelled``) shows it.

    Examples
    --------
    >>> from typing import Annotated
    >>> from pydantic import TypeAdapter
    >>> TypeAdapter(Annotated[str, Spelling("^[a-z]+$", "three_illegals")]).json_schema()["pattern"]
    '^[a-z]+$'
    """

    pattern: str
    example: str

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Check the text after everything else."""
        return core_schema.no_info_after_validator_function(self._check, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        """Name the pattern."""
        return {**handler(schema), "pattern": self.pattern}

    def _check(self, value: str) -> str:
        # "$" alone would let a line break follow.
        if re.fullmatch(self.pattern, value) is None:
            raise misspelled(self.example)
        return value


def misspelled(example: str) -> PydanticCustomError:
    """The fault of a value that is written otherwise than the example."""
    return PydanticCustomError("misspelled", "not written like {example}", {"example": example})


def is_storable(text: str) -> bool:
    """Whether PostgreSQL can hold a text: neither NUL nor half a surrogate pair.

    Examples
    --------
    >>> is_storable("井盖"), is_storable("a\\x00b")
    (True, False)
    """
    return _UNSTORABLE.search(text) is None


def sound(value: str) -> str:
    """The same text, if it can be stored (``request.bad_character``): better told here than failed there."""
    if not is_storable(value):
        raise PydanticCustomError("bad_character", "NUL or lone surrogate")
    return value
