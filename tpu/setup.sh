#!/usr/bin/env bash
# Puts kerasft and tensorflow-tpu 2.20 on every host of a TPU VM.
#
# usage: tpu/setup.sh NAME --zone ZONE [--project ID] [--dry-run]
#
# Copies this checkout to ~/kerasft, makes ~/kerasft/.venv with the pinned packages, and puts tensorflow-tpu in the
# place of tensorflow. Running it again brings the code up to date.
set -euo pipefail
# shellcheck source=tpu/lib.sh
. "$(dirname "$0")/lib.sh"

parse "" "" "$@"
take_name
no_more_arguments

INDEX=https://storage.googleapis.com/libtpu-tf-releases/index.html # libtpu for tensorflow-tpu, as Google documents
LEFT="$NAME, without kerasft; it costs money until tpu/delete.sh $NAME --zone $zone"
remote all "mkdir -p $REMOTE"
LEFT="$NAME with a part of kerasft in ~/$REMOTE; run this again, or tpu/delete.sh $NAME --zone $zone"
sources=()
for part in kerasft configs requirements setup.cfg pyproject.toml README.md LICENSE; do sources+=("$ROOT/$part"); done
copy all "${sources[@]}" "$NAME:$REMOTE/"
# Pip can't know that tensorflow-tpu is tensorflow: both hold the module `tensorflow`, so the one must be gone first.
remote all "cd $REMOTE && (test -x .venv/bin/pip || python3 -m venv .venv ||
  (sudo apt-get install -y python3-venv && python3 -m venv --clear .venv)) &&
  pins=requirements/py\$(.venv/bin/python -c 'import sys; print(\"%d%d\" % sys.version_info[:2])').txt &&
  .venv/bin/pip install --quiet --constraint \$pins --editable . &&
  .venv/bin/pip uninstall --quiet --yes tensorflow &&
  .venv/bin/pip install --quiet --force-reinstall --no-deps 'tensorflow-tpu==2.20.*' --find-links $INDEX &&
  .venv/bin/pip install --quiet --constraint \$pins 'tensorflow-tpu==2.20.*' --find-links $INDEX"
remote all "cd $REMOTE && .venv/bin/python -c 'import tensorflow, kerasft; print(tensorflow.__version__)'"
