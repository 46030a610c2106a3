"""A script that runs a stranger's model can neither write, nor reach the network, nor start programs."""

import json
import socket
import subprocess
import sys

from kerasft.serving import confinement

SCRIPT = """
import json, os, socket, subprocess, sys
folder, port = sys.argv[1:]
def connect():
    socket.create_connection(("127.0.0.1", int(port)), 5)
def write(mode):
    with open(f"{folder}/old", mode) as file:
        file.write("new")
acts = {
    "append": lambda: write("a"), "truncate": lambda: write("w"), "make": lambda: os.mkdir(f"{folder}/made"),
    "create": lambda: open(f"{folder}/created", "x"), "remove": lambda: os.remove(f"{folder}/old"),
    "rename": lambda: os.rename(f"{folder}/old", f"{folder}/renamed"), "link": lambda: os.symlink("/", f"{folder}/s"),
    "network": connect, "program": lambda: subprocess.run(["/bin/true"], check=True),
}
done = []
for name, act in acts.items():
    try:
        act()
        done.append(name)
    except OSError:
        pass
print(json.dumps({"done": done, "kept": os.environ["KERASFT_NOT_CONFINED"], "read": open(f"{folder}/old").read()}))
"""
RIGHTS = {
    "writing files": {"truncate", "make", "create", "remove", "rename", "link"},
    "starting programs": {"program"},
    "the network": {"network"},
}


def test_rights_are_given_up_or_named(tmp_path):
    (tmp_path / "old").write_text("precious")
    (tmp_path / "script.py").write_text(SCRIPT)
    with socket.create_server(("127.0.0.1", 0)) as server:
        command = [sys.executable, "-I", confinement.__file__, str(tmp_path / "script.py"), str(tmp_path)]
        done = subprocess.run([*command, str(server.getsockname()[1])], capture_output=True, text=True, timeout=60)
    told = json.loads(done.stdout)
    kept = [right for right in told["kept"].split(", ") if right]
    assert set(told["done"]) <= {act for right in kept for act in RIGHTS.get(right, ())}, told
    if "writing files" not in kept:
        assert told["read"] == "precious"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["old", "script.py"] or "writing files" in kept
