"""Damaged texts, repaired: what was decoded wrongly, control characters, halves of surrogate pairs."""

from __future__ import annotations

import difflib
import functools
import importlib.util
import itertools
import re
from collections.abc import Callable

from kerasft.errors import UserError
from kerasft.invocation import install_command


def check_installed(key: str) -> None:
    """Raises UserError where ftfy, which repairs texts, is not installed; `key` asks for it."""
    if importlib.util.find_spec("ftfy") is None:
        raise UserError(f"{key} needs the package ftfy; install it: {install_command('quality')}")


def repaired(text: str) -> str:
    """A text without the damage that ftfy (Speer 2019, doi:10.5281/zenodo.2591652) finds; most come back as they are.

    Curled quotes, ligatures, wide letters, HTML's names of characters and the form of accents stay as they are:
    nobody has damaged them, and texts that the model will be asked have them, too.
    """
    if text.isascii() and text.isprintable():
        return text
    return _fixer()(text)


@functools.cache
def _fixer() -> Callable[[str], str]:
    import ftfy

    config = ftfy.TextFixerConfig(
        unescape_html=False,
        remove_terminal_escapes=True,
        fix_encoding=True,
        restore_byte_a0=True,
        replace_lossy_sequences=True,
        decode_inconsistent_utf8=True,
        fix_c1_controls=True,
        fix_latin_ligatures=False,
        fix_character_width=False,
        uncurl_quotes=False,
        fix_line_breaks=False,
        fix_surrogates=True,
        remove_control_chars=True,
        normalization=None,
        explain=False,
    )
    return lambda text: ftfy.fix_text(text, config)


def differences(before: str, after: str) -> list[tuple[int, int, str]]:
    """(start, end, new) of each stretch of a text that another one has something else for, in order, none touching.

    Words are compared first and then the characters of those that differ: one by one where the blanks between them
    stay, and otherwise by a matcher, whose time grows faster than a text where frequent words may begin a match.
    """
    if before == after:
        return []
    old, new = (re.findall(r"\s+|\S+", text) for text in (before, after))
    result: list[tuple[int, int, str]] = []
    at = [0, *itertools.accumulate(map(len, old))]
    if len(old) == len(new) and all(a == b for a, b in zip(old, new) if a.isspace() or b.isspace()):
        changed = [(n, n + 1, n, n + 1) for n, (one, other) in enumerate(zip(old, new)) if one != other]
    else:
        changed = [each[1:] for each in difflib.SequenceMatcher(None, old, new).get_opcodes() if each[0] != "equal"]
    for a, b, c, d in changed:
        one, other = "".join(old[a:b]), "".join(new[c:d])
        for inner, i, j, k, m in difflib.SequenceMatcher(None, one, other, autojunk=len(other) > 2000).get_opcodes():
            if inner != "equal":
                result.append((at[a] + i, at[a] + j, other[k:m]))
    return result
