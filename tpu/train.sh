#!/usr/bin/env bash
# Starts a training on a TPU VM that tpu/setup.sh has set up, and returns; tpu/watch.sh shows how it goes.
#
# usage: tpu/train.sh NAME --zone ZONE --config FILE [--data PATH] [--slice] [--resume] [--overwrite] [--project ID]
#                     [--dry-run] [-- key=value ...]
#
#   --config   a YAML file; training.strategy=tpu is added
#   --data     a file or folder that is copied to ~/kerasft/job/data first; the config's paths are relative to
#              ~/kerasft, so job/data/NAME
#   --slice    the TPU has several hosts: each runs the server that tensorflow-tpu brings, start_grpc_tpu_worker on port
#              8470, and the training runs on host 0, which drives them all; see docs/tpu.md
#   --resume   goes on from the newest checkpoint
#   --overwrite  replaces a run of this name
#   key=value  as `kerasft train` takes them
set -euo pipefail
# shellcheck source=tpu/lib.sh
. "$(dirname "$0")/lib.sh"

METADATA=http://metadata.google.internal/computeMetadata/v1/instance/attributes
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

LEFT="$NAME, with no training started; it costs money until tpu/delete.sh $NAME --zone $zone"
remote 0 "mkdir -p $REMOTE/job/data && rm -f $REMOTE/job/exit_code"
copy 0 "$config" "$NAME:$REMOTE/job/"
[ -z "$data" ] || copy 0 "$data" "$NAME:$REMOTE/job/data/"
before="" environment="TPU_NAME=local"
if [ -n "$slice" ]; then
  # the server of an earlier training holds the chips; a new one has nothing left of it
  remote all "set -e; cd $REMOTE; mkdir -p job
  if [ -f job/host.pid ]; then kill \$(cat job/host.pid) || true; sleep 3; fi
  nohup .venv/bin/start_grpc_tpu_worker > job/host.log 2>&1 < /dev/null & echo \$! > job/host.pid"
  # the metadata have ID:PORT:ADDRESS,... of all hosts; host 0 must leave its chips to its server
  before="hosts=\$(curl -sf -H Metadata-Flavor:Google $METADATA/worker-network-endpoints |
  tr , '\\n' | cut -d: -f3 | sed 's|.*|grpc://&:8470|' | paste -sd, -) && test -n \"\$hosts\" && "
  environment="TPU_NAME=\$hosts TPU_LOAD_LIBRARY=0"
fi
# without a terminal of its own, so that it outlives this connection
remote 0 "cd $REMOTE && $before(nohup env $environment $(quoted "${program[@]}") > job/train.log 2>&1
  echo \$? > job/exit_code) < /dev/null > /dev/null 2>&1 &"
[ -n "$dry_run" ] || say "started; tpu/watch.sh $NAME --zone $zone shows it"
