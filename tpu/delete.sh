#!/usr/bin/env bash
# Deletes a TPU VM with everything on its disk; fetch the results first (tpu/fetch.sh).
#
# usage: tpu/delete.sh NAME --zone ZONE [--queued] [--yes] [--project ID] [--dry-run]
#
#   --queued   it was created with --mode queued or queued-spot: the request goes too
#   --yes      gcloud does not ask
set -euo pipefail
# shellcheck source=tpu/lib.sh
. "$(dirname "$0")/lib.sh"

queued="" yes=""
parse "" "queued yes" "$@"
take_name
no_more_arguments

if [ -n "$queued" ]; then
  command=(gcloud compute tpus queued-resources delete "$NAME" "${PLACE[@]}" --force) # with the VM it led to
else
  command=(gcloud compute tpus tpu-vm delete "$NAME" "${PLACE[@]}")
fi
[ -z "$yes" ] || command+=(--quiet)
LEFT="$NAME, which goes on costing money; run this again, or delete it at https://console.cloud.google.com/compute/tpus"
run "${command[@]}"
