"""Three hundred texts that try to become something else: tags, templates, escapes, separators, directions."""

from __future__ import annotations

from itertools import product
from typing import Final

__all__ = ["TEXTS", "chunks"]

_CALLS: Final = ("alert({n})", "confirm({n})", "self.hacked={n}")
_FORMS: Final = (
    "<script>{call}</script>",
    "</script><script>{call}</script>",
    "</textarea><script>{call}</script>",
    "</title><svg onload={call}>",
    "<img src=x onerror={call}>",
    "<IMG SRC=x OnError={call}//",
    '"><svg/onload={call}>',
    "'><iframe srcdoc='<script>{call}</script>'>",
    '" autofocus onfocus="{call}',
    "' onmouseover='{call}' x='",
    "javascript:{call}",
    "<a href=javascript:{call}>x</a>",
    "`${{{call}}}`",
    "{{{{constructor.constructor('{call}')()}}}}",
    "{{% raw %}}{{{{ {call} }}}}",
    "\\u003cscript\\u003e{call}\\u003c/script\\u003e",
    "\\x3csvg onload={call}\\x3e \\\\ \\",
    "--><script>{call}</script><!--",
    "]]><script>{call}</script>",
    "*/{call}/*",
)
_FRAMES: Final = (
    "{text}",
    "路边\u2028{text}\u2029",
    "\u202e{text}\u202c",
    "\u2066{text} 井盖",
    "a\n\t{text}\u200b\ufeff",
)
#: 300 of them; each call carries its own number, so that whatever comes alive can be named.
TEXTS: Final = tuple(
    frame.format(text=form.format(call=call.format(n=number)))
    for number, (form, call, frame) in enumerate(product(_FORMS, _CALLS, _FRAMES))
)
assert len(set(TEXTS)) == 300


def chunks(size: int) -> list[str]:
    """The same texts, ``size`` of them in one: for the few fields that a page has many of."""
    return [" ".join(TEXTS[first : first + size]) for first in range(0, len(TEXTS), size)]
