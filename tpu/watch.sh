#!/usr/bin/env bash
# Shows the state of a TPU VM and the last lines of its training.
#
# usage: tpu/watch.sh NAME --zone ZONE [--lines N] [--follow] [--queued] [--project ID] [--dry-run]
#
#   --lines    of the log; 20 by default
#   --follow   stays and shows what comes, until Ctrl-C
#   --queued   shows the place in Google's queue instead (tpu/create.sh --mode queued)
set -euo pipefail
# shellcheck source=tpu/lib.sh
. "$(dirname "$0")/lib.sh"

lines=20 follow="" queued=""
parse "lines" "follow queued" "$@"
take_name
no_more_arguments
[[ $lines =~ ^[1-9][0-9]*$ ]] || die "--lines: '$lines' is not a number above 0"

LEFT="everything, as it was"
if [ -n "$queued" ]; then
  run gcloud compute tpus queued-resources describe "$NAME" "${PLACE[@]}" "--format=value(state.state)"
  exit
fi
run gcloud compute tpus tpu-vm describe "$NAME" "${PLACE[@]}" "--format=value(state)"
finished="if [ -f exit_code ]; then echo \"ended with exit code \$(cat exit_code)\"; else echo \"still running\"; fi"
remote 0 "cd $REMOTE/job && tail -n $lines ${follow:+-f }train.log && $finished"
