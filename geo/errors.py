"""The one error tree of Gridward: stable codes and facts, no HTTP and no language.

A floor raises what it knows (a dotted code and the parameters of the sentence). The door turns the code into a
status (``api/errors.py``) and into a sentence in the caller's language (``maps/locale/*/errors.po``, key
``error.<code>``). That is why no message text lives here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any


class GridwardError(Exception):
    """Something the caller can understand and act on.

    Parameters
    ----------
    code
        Stable dotted name, ``<floor>.<what_happened>``; part of the public interface.
    pointer
        JSON pointer (RFC 6901) to the offending field of the request, if there is one.
    **params
        The facts of the sentence; values must be JSON-serialisable.
    """

    #: What is wrong, one by one, when an error is the sum of several faults.
    causes: Sequence[Fault] = ()

    def __init__(self, code: str, *, pointer: str | None = None, **params: Any) -> None:
        self.code = code
        self.pointer = pointer
        self.params: dict[str, Any] = params
        facts = ", ".join(f"{name}={value!r}" for name, value in params.items())
        super().__init__(f"{code}({facts})" if facts else code)


class BadInputError(GridwardError):
    """The request is understood and wrong."""


class NotFoundError(GridwardError):
    """No such thing, or not for this caller: both look the same from outside."""


class ConflictError(GridwardError):
    """The thing has moved on since the caller looked."""


class ForbiddenError(GridwardError):
    """The caller is known and may not do this."""


class UnavailableError(GridwardError):
    """A part we need is away; the caller may try again."""


def json_pointer(*steps: str | int) -> str:
    """The JSON pointer (RFC 6901) that leads from a document through fields and places to a part of it.

    Examples
    --------
    >>> json_pointer("ledgers", 1), json_pointer("a/b"), json_pointer()
    ('/ledgers/1', '/a~1b', '')
    """
    return "".join("/" + str(step).replace("~", "~0").replace("/", "~1") for step in steps)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One wrong field among several found at once."""

    code: str
    pointer: str
    params: dict[str, Any] = field(default_factory=dict)


class InvalidRequestError(BadInputError):
    """All faults of one request together, so that the caller mends them in one go."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        super().__init__("request.invalid", count=len(faults))
        self.faults = tuple(faults)
