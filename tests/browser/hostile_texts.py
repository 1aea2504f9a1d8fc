"""Texts that would run if a page took them for anything but text."""

from __future__ import annotations

from itertools import product

HOSTILE = (
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(2)>",
    "</script><script>alert(3)</script>",
    "`${alert(4)}` \\u003cscript\\u003e {{7*7}} {% raw %}",
    "\u2028alert(5)\u2029 \u202etxet idib\u202c",
    "<svg/onload=alert(6)><b>bold</b>&amp;&lt;",
)

# Every shape behind every beginning.
SHAPES = (
    "<script>{}</script>", "<img src=x onerror={}>", "<svg onload={}>", "</script><script>{}</script>",
    '"><img src=x onerror={}>', "'><svg/onload={}>", '<iframe srcdoc="<script>parent.{}</script>">',
    '<a href="javascript:{}">x</a>', "<details open ontoggle={}>", "<body onload={}>", "<input autofocus onfocus={}>",
    "<math><mtext><img src onerror={}>", "{{{{constructor.constructor('{}')()}}}}", "${{{}}}", "`${{{}}}`",
    "</textarea><script>{}</script>", "</title><svg onload={}>", "<!--<script>{}//-->", "]]><script>{}</script>",
    "\\u003cscript\\u003e{}\\u003c/script\\u003e", "&lt;script&gt;{}&#60;/script&#62;", "\u2028{}\u2029",
    "\u202e{}\u202c", "<style>@import'//x'</style>{}", "<link rel=stylesheet href=//x>{}",
    "%3Cscript%3E{}%3C/script%3E", "<base href=//x>{}", "<form action=javascript:{}><button>x",
    "<object data=javascript:{}>", "\\';{}//",
)  # fmt: skip
BEFORE = ("", "a ", "\\", "`", "中文", "\u202e", "\u2066", "&quot;", "\t", "😀")
MANY = [before + shape.format(f"alert({n})") for n, (before, shape) in enumerate(product(BEFORE, SHAPES))]
