#!/usr/bin/env bash
# Starts a training on a TPU VM that tpu/setup.sh has set up, and returns; tpu/watch.sh shows how it goes.
#
# usage: tpu/train.sh NAME --zone ZONE --config FILE [--data PATH] [--slice] [--resume] [--overwrite] [--project ID]
#                     [--dry-run] [-- key=value ...]
#
#   --config   a YAML file; training.strategy=tpu is added
#   --data     a file or folder that is copied to ~/kerasft/job/data first; the config's paths are relative to
#              ~/kerasft, so job/data/NAME
#   --slice    the TPU has several hosts: files go to all of them and the program runs on worker 0, which drives the
#              others by TPU_NAME. kerasft itself can't train there yet; see docs/tpu.md
#   --resume   goes on from the newest checkpoint
#   --overwrite  replaces a run of this name
#   key=value  as `kerasft train` takes them
set -euo pipefail
# shellcheck source=tpu/lib.sh
. "$(dirname "$0")/lib.sh"

config="" data="" slice="" resume="" overwrite=""
parse "config data" "slice resume overwrite" "$@"
take_name
[ -n "$config" ] || die "--config: missing; for example --config configs/quickstart.yaml"
[ -f "$config" ] || die "--config: '$config' is not a file"
[ -z "$data" ] || [ -e "$data" ] || die "--data: '$data' does not exist"
for override in ${positional[@]+"${positional[@]}"}; do
  [[ $override == [a-z]*=* ]] || die "'$override' is not key=value"
done

program=(.venv/bin/python -m kerasft.train "job/$(basename "$config")" training.strategy=tpu
  ${positional[@]+"${positional[@]}"})
[ -z "$resume" ] || program+=(--resume)
[ -z "$overwrite" ] || program+=(--overwrite)
workers=0 environment="TPU_NAME=local"
if [ -n "$slice" ]; then
  # worker 0 must leave the device to the server that the pod's image runs on each host
  workers=all environment="TPU_NAME=$NAME TPU_LOAD_LIBRARY=0"
fi

LEFT="$NAME, with no training started; it costs money until tpu/delete.sh $NAME --zone $zone"
remote "$workers" "mkdir -p $REMOTE/job/data && rm -f $REMOTE/job/exit_code"
copy "$workers" "$config" "$NAME:$REMOTE/job/"
[ -z "$data" ] || copy "$workers" "$data" "$NAME:$REMOTE/job/data/"
# without a terminal of its own, so that it outlives this connection
remote 0 "cd $REMOTE && (nohup env $environment $(quoted "${program[@]}") > job/train.log 2>&1
  echo \$? > job/exit_code) < /dev/null > /dev/null 2>&1 &"
[ -n "$dry_run" ] || say "started; tpu/watch.sh $NAME --zone $zone shows it"
