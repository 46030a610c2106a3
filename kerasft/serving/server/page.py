"""The page at `/`: type a text, see the answer. One file, nothing from elsewhere, and no script but its own."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from functools import cache
from pathlib import Path

from aiohttp import web

from kerasft.serving.server.manager import Manager
from kerasft.serving.server.requests import DEFAULT_SIGNATURE

FILE = Path(__file__).with_name("page.html")
PLACE = ">MODELS<"


def page(manager: Manager) -> web.Response:
    """The page, with the models that answer now."""
    models = []
    for name, model in sorted(manager.models.items()):
        for version in model.available()[-1:]:
            signatures = version.model.signatures
            if DEFAULT_SIGNATURE in signatures:
                signature = signatures[DEFAULT_SIGNATURE]
                # A question before its context, a text before its pair.
                inputs = sorted(signature.inputs, key=lambda each: (each == "context", each))
                about = {"inputs": inputs, "outputs": sorted(signature.outputs), "classify": "classify" in signatures}
                about["sample"] = version.sample
                models.append({"name": name, "version": version.number, **about})
    text, policy = _parts()
    # Whatever a folder is called, it cannot end the script that holds its name.
    listed = json.dumps(models).replace("<", "\\u003c")
    headers = {"Content-Security-Policy": policy, "X-Content-Type-Options": "nosniff", "Server": "kerasft"}
    return web.Response(text=text.replace(PLACE, f">{listed}<"), content_type="text/html", headers=headers)


@cache
def _parts() -> tuple[str, str]:
    """The file, and the policy that lets a browser run its own script and style and ask this server, nothing else."""
    text = FILE.read_text(encoding="utf-8")
    [script] = re.findall(r"<script>(.*?)</script>", text, re.DOTALL)
    [style] = re.findall(r"<style>(.*?)</style>", text, re.DOTALL)
    allowed = f"script-src {_hash(script)}; style-src {_hash(style)}; connect-src 'self'"
    return text, f"default-src 'none'; {allowed}; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
