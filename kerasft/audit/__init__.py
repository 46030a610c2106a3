"""One page about a run that a reviewer can read: when it breaks, whom it treats unequally, whether it explains itself.

Calling the package is `kerasft audit` as a function.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from kerasft.callable_module import make_callable


def audit(run: str | os.PathLike[str], **settings: Any) -> dict[str, Any]:
    """Audits a run and returns what `audit.json` holds.

        import kerasft

        kerasft.audit("runs/banking77", rows=500)["robustness"]

    Args:
        run: a run's folder.
        settings: those of `kerasft.audit.settings.AuditSettings`.

    Raises:
        UserError: there is no such run, or its data is another than it held out.
    """
    from kerasft.audit.program import audit_run
    from kerasft.audit.settings import AuditSettings

    return audit_run(Path(run), AuditSettings(**settings))


make_callable(__name__, audit)
