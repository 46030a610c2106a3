"""Writes requirements/pyXY.txt: every package, with its version, that runtime, tests and docs of setup.cfg resolve to.

Usage: python requirements/pin.py PYTHON ...    one file for each interpreter; needs a pip with `--python`.
"""

import configparser
import json
import pathlib
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
EXTRAS = ("serve", "xlsx", "quality", "search", "chinese", "onnx", "test", "docs")


def wanted() -> list[str]:
    """Requirements of the runtime and of the extras in `EXTRAS`, as setup.cfg has them."""
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg", encoding="utf-8")
    extras = config["options.extras_require"]
    lines = (config["options"]["install_requires"] + "".join(extras[name] for name in EXTRAS)).splitlines()
    return [line.strip() for line in lines if line.strip() and not line.startswith(("#", "kerasft["))]


def resolve(python: str) -> dict[str, str]:
    """Package name -> version, as pip resolves `wanted()` for this interpreter with nothing installed."""
    with tempfile.TemporaryDirectory() as folder:
        report = pathlib.Path(folder) / "report.json"
        command = [sys.executable, "-m", "pip", "--python", python, "install", "-qq", "--dry-run"]
        command += ["--ignore-installed", "--report", str(report), *wanted()]
        subprocess.run(command, check=True)
        installed = json.loads(report.read_text(encoding="utf-8"))["install"]
    found = {item["metadata"]["name"]: item["metadata"]["version"] for item in installed}
    # A local version (1.0+cpu) is one that only this machine has.
    local = [f"{name}=={version}" for name, version in found.items() if "+" in version]
    if local:
        sys.exit(f"error: {', '.join(local)}: no package index has these; take them out of this machine's find-links")
    return found


def main() -> None:
    for python in sys.argv[1:]:
        code = "import sys; print('%d.%d' % sys.version_info[:2])"
        version = subprocess.run([python, "-c", code], check=True, capture_output=True, text=True).stdout.strip()
        pins = resolve(python)
        path = ROOT / "requirements" / f"py{version.replace('.', '')}.txt"
        lines = [f"{name}=={pins[name]}" for name in sorted(pins, key=str.lower)]
        header = f"# Python {version}, Linux x86-64. Made by `make pins`; do not edit.\n"
        path.write_text(header + "\n".join(lines) + "\n", encoding="utf-8")
        print(f"{path.relative_to(ROOT)}: {len(lines)} packages")


if __name__ == "__main__":
    main()
