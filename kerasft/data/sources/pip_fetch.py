"""Finds one archive with pip's own index code and downloads it, building nothing; `packages.py` runs it as a script.

`pip download` of an sdist runs the sdist's build code to learn its metadata, and no option of pip forbids it. So the
archive is looked up and fetched with the parts of pip that do only that. They honour every setting of pip (index,
mirrors, find-links, proxy, certificates, credentials), and a connect timeout of its own tells at once that there
is no network, while a slow download is still given pip's usual time.

Private to pip, checked with pip 22.0, 23.0, 23.2, 24.2 and 26.3: `DownloadCommand.get_default_session`,
`DownloadCommand._build_package_finder`, `PackageFinder.find_all_candidates`, and the debug message "Could not fetch
URL". Where they have moved the answer is `moved`, and packages.py falls back to `pip download` of wheels.
tests/data/sources/test_packages.py fails then.

The module imports nothing of kerasft and nothing outside pip and the standard library.
"""

import hashlib
import json
import logging
import pathlib
import sys
import urllib.parse

CONNECT_SECONDS = 1.5
CHUNK = 1 << 20
INDEX_LOGGER = "pip._internal.index.collector"


class FetchFailures(logging.Handler):
    """Collects (host, reason) of each index page that could not be read: pip only logs them."""

    def __init__(self):
        super().__init__(logging.DEBUG)
        self.failures = []

    def emit(self, record):
        if str(record.msg).startswith("Could not fetch URL") and isinstance(record.args, tuple):
            link, reason = record.args[0], str(record.args[1])
            self.failures.append((urllib.parse.urlsplit(str(link)).hostname or str(link), reason))


def choose(candidates, version, sha256):
    """The candidate of this version: the pinned hash first, then wheels, then by file name; None without any."""
    fitting = [candidate.link for candidate in candidates if str(candidate.version) == version]
    return min(fitting, key=lambda link: (link.hash != sha256, not link.is_wheel, link.filename), default=None)


def download(session, link, folder):
    """Writes the archive into the folder and returns its name and SHA-256."""
    file = pathlib.Path(folder) / pathlib.PurePosixPath(link.filename).name
    digest = hashlib.sha256()
    response = session.get(link.url_without_fragment, stream=True, headers={"Accept-Encoding": "identity"})
    response.raise_for_status()
    with file.open("wb") as out:
        for chunk in response.iter_content(CHUNK):
            digest.update(chunk)
            out.write(chunk)
    if link.hash_name == "sha256" and link.hash != digest.hexdigest():
        return {"status": "broken", "file": file.name}
    return {"status": "fetched", "file": file.name, "sha256": digest.hexdigest()}


def fetch(command, options, name, version, sha256, folder):
    """Looks the archive up and downloads it -> the answer as a JSON-able dict."""
    from pip._vendor.packaging.version import Version

    failures = FetchFailures()
    logger = logging.getLogger(INDEX_LOGGER)
    logger.setLevel(logging.DEBUG)
    logger.addHandler(failures)
    try:
        session = command.get_default_session(options)
        session.timeout = (CONNECT_SECONDS, options.timeout)
        finder = command._build_package_finder(options, session, ignore_requires_python=True)
        candidates = finder.find_all_candidates(name)
        link = choose(candidates, str(Version(version)), sha256)
    except (AttributeError, TypeError) as error:
        return {"status": "moved", "reason": str(error)}
    if link is not None:
        return download(session, link, folder)
    for host, reason in failures.failures:
        if "404" not in reason:
            return {"status": "unreachable", "host": host, "reason": reason}
    versions = sorted({candidate.version for candidate in candidates})
    return {"status": "missing", "versions": [str(v) for v in versions], "no_index": bool(options.no_index)}


def main(name, version, sha256, folder):
    answer = pathlib.Path(folder) / "answer.json"
    try:
        from pip._internal.commands.download import DownloadCommand
    except ImportError as error:
        answer.write_text(json.dumps({"status": "moved", "reason": str(error)}))
        return 0

    class Fetch(DownloadCommand):
        def run(self, options, args):
            answer.write_text(json.dumps(fetch(self, options, name, version, sha256, folder)))
            return 0

    flags = ["--disable-pip-version-check", "--no-input", "--retries", "0", "--no-deps"]
    return Fetch("download", "Fetches one archive.").main([*flags, name])


if __name__ == "__main__":
    sys.path.pop(0)  # this folder: its file names must not hide modules that pip imports
    sys.exit(main(*sys.argv[1:]))
