#!/usr/bin/env bash
# Copies a run and its exported model from a TPU VM to this machine.
#
# usage: tpu/fetch.sh NAME --zone ZONE --run RUN [--to DIR] [--checkpoints] [--project ID] [--dry-run]
#
#   --run          the run's name, the key `name` of its config
#   --to           the folder that gets runs/RUN and saved_models/RUN; this one by default
#   --checkpoints  also those of the training, which are several times as large as the model
set -euo pipefail
# shellcheck source=tpu/lib.sh
. "$(dirname "$0")/lib.sh"

run="" to=. checkpoints=""
parse "run to" "checkpoints" "$@"
take_name
no_more_arguments
[ -n "$run" ] || die "--run: missing; it is the key name of the config"
[[ $run =~ ^[A-Za-z0-9][A-Za-z0-9._-]*$ ]] || die "--run: '$run' is not a run's name: letters, digits, . _ -"

LEFT="$NAME and everything on it; what arrived is in $to"
leave="--exclude=runs/$run/checkpoints"
[ -z "$checkpoints" ] || leave=""
archive="$REMOTE-$run.tar.gz"
# One archive, since scp copies file by file and knows no exceptions. A run that was not exported has no saved_models.
remote 0 "cd $REMOTE && found=\$(ls -d runs/$run saved_models/$run 2> /dev/null || true) &&
  tar -czf ../$archive $leave \${found:-runs/$run}"
run mkdir -p "$to"
copy 0 "$NAME:$archive" "$to/"
run tar -xzf "$to/$archive" -C "$to"
run rm "$to/$archive"
remote 0 "rm $archive"
