"""The report: one HTML file that needs nothing else, neither a server nor a network nor a library."""

import base64
import gzip
import html
import json
from collections.abc import Mapping
from importlib import resources
from typing import Any

SCRIPTS = (
    "base",
    "state",
    "routing",
    "mesh",
    "whatif",
    "time",
    "memory",
    "graph",
    "source",
    "summary",
    "details",
    "selftest",
    "main",
)
"""The parts of the script, in order; they share one scope."""

_FRAME = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<link rel="icon" href="data:,">
<title>{title}</title>
<style>
{style}
</style>
</head>
<body>
{body}
</body>
</html>
"""

_REPORT = """<noscript>
<p>The script inside this report draws it, but scripts are switched off in this browser.</p>
</noscript>
{body}
<script type="application/gzip+base64" id="data">{data}</script>
<script>
(() => {{
"use strict";
{script}
}})();
</script>"""

POLICY = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data: blob:"
"""Nothing may be fetched from anywhere."""


def asset(name: str) -> str:
    """The text of a file in `assets`."""
    return (resources.files("runtime.view") / "assets" / name).read_text(encoding="utf-8")


def report_page(title: str, content: Mapping[str, Any]) -> str:
    """The page that shows `content`, a `document`."""
    script = "\n".join(asset(f"{name}.js") for name in SCRIPTS)
    body = _REPORT.format(body=asset("report.html"), data=pack(content), script=script)
    return frame(title, body, asset("report.css"))


def frame(title: str, body: str, style: str) -> str:
    """A page that fetches nothing."""
    return _FRAME.format(policy=POLICY, title=html.escape(title), style=style, body=body)


def pack(content: Mapping[str, Any]) -> str:
    """JSON, compressed, as text that can stand in a page; equal contents give equal texts."""
    data = json.dumps(content, separators=(",", ":"), allow_nan=False).encode()
    return base64.b64encode(gzip.compress(data, 6, mtime=0)).decode()
