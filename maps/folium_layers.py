"""Pieces of Folium's documents that are ours: raw text, packed cells, clusters, the finishing script. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

import folium
from branca.element import Element
from folium.map import Layer
from folium.template import Template

__all__ = ["CellLayer", "ClusterLayer", "Finish", "Raw", "front_code", "script_json"]

_STRING: Final = re.compile(r'"(?:[^"\\]|\\.)*"')


class Raw(Element):
    """Text that is put out as it is: branca would read it as a template."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.text = text

    def render(self, **_: Any) -> str:
        return self.text


class CellLayer(Layer):
    """Cells of one level, unpacked and styled by the page's script."""

    _template = Template(
        """
        {% macro script(this, kwargs) %}
            gridward.prepare({{ this._parent.get_name() }});
            var {{ this.get_name() }} = gridward.cells({{ this.payload }});
        {% endmacro %}
        """
    )

    def __init__(self, payload: Mapping[str, Any], *, name: str, overlay: bool = False, control: bool = True) -> None:
        super().__init__(name=name, overlay=overlay, control=control, show=True)
        self._name = "Cells"
        self.payload = script_json(payload)


class ClusterLayer(Layer):
    """Places that come together at small scales, drawn by the page's script."""

    _template = Template(
        """
        {% macro script(this, kwargs) %}
            var {{ this.get_name() }} = gridward.clusters({{ this.payload }});
        {% endmacro %}
        """
    )

    def __init__(self, payload: Mapping[str, Any], *, name: str, show: bool = False) -> None:
        super().__init__(name=name, overlay=False, control=True, show=show)
        self._name = "Clusters"
        self.payload = script_json(payload)


class Finish(folium.MacroElement):
    """Hands the finished map to the page's script: legend, scale, labels, theme, messages."""

    _template = Template(
        """
        {% macro script(this, kwargs) %}
            gridward.finish({{ this._parent.get_name() }}, {{ this.layers }}, {{ this.payload }});
        {% endmacro %}
        """
    )

    def __init__(self, layers: Mapping[str, str], payload: Mapping[str, Any]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._name = "Finish"
        # Names of script variables, not strings.
        self.layers = "{" + ", ".join(f"{key}: {variable}" for key, variable in layers.items()) + "}"
        self.payload = script_json(payload)


def front_code(texts: Sequence[str]) -> list[str]:
    """Write each text as the length of what it shares with the one before (base 36, at most 35) and the rest."""
    coded, before = [], ""
    for text in texts:
        shared = 0
        while shared < min(len(text), len(before), 35) and text[shared] == before[shared]:
            shared += 1
        coded.append("0123456789abcdefghijklmnopqrstuvwxyz"[shared] + text[shared:])
        before = text
    return coded


def script_json(value: object) -> str:
    r"""Write JSON that may stand in a script element, whatever the texts in it are.

    ``<``, ``>`` and ``&`` cannot end the element or open a comment, U+2028/9 cannot end a line, and ``//`` is split, so
    that an address inside somebody's text is never taken for one that the page names.

    Examples
    --------
    >>> script_json("</script>")
    '"\\u003c/script\\u003e"'
    """
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    # branca compiles what an element has rendered as a template once more: "{{ … }}" in a name would run on the server.
    text = _STRING.sub(lambda match: match.group(0).replace("{", "\\u007b").replace("}", "\\u007d"), text)
    for sign, code in (("<", "003c"), (">", "003e"), ("&", "0026"), ("\u2028", "2028"), ("\u2029", "2029")):
        text = text.replace(sign, "\\u" + code)
    return text.replace("//", "/\\u002f")
