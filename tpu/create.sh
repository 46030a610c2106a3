#!/usr/bin/env bash
# Creates a Cloud TPU VM.
#
# usage: tpu/create.sh NAME --zone ZONE --type TYPE [--mode MODE] [--version VERSION] [--project ID] [--dry-run]
#
#   --type     v5e-8, v6e-8, v4-8, v5p-8 and other sizes, as `kerasft preflight --accelerator` has them
#   --mode     on-demand (the default): now or not at all
#              spot: cheaper, and Google may take it away at any time
#              queued, queued-spot: wait in Google's queue until there is one; see tpu/watch.sh --queued
#   --version  of the TPU software. By default the base image of the type
#   --dry-run  prints the commands and runs none
set -euo pipefail
# shellcheck source=tpu/lib.sh
. "$(dirname "$0")/lib.sh"

type="" mode="on-demand" version=""
parse "type mode version" "" "$@"
take_name
no_more_arguments
[ -n "$type" ] || die "--type: missing; for example --type v5e-8"
[[ $type =~ ^(v2|v3|v4|v5e|v5litepod|v5p|v6e)-([1-9][0-9]*)$ ]] || die "--type: '$type' is not a type such as v5e-8"
generation=${BASH_REMATCH[1]} size=${BASH_REMATCH[2]}
[ "$generation" != v5e ] || generation=v5litepod # gcloud's own name of it
# 8 is the most that one host has, in each generation
[ "$generation" != v6e ] || [ "$size" -le 8 ] ||
  die "--type: '$type' has several hosts, and the server of tensorflow-tpu 2.20 does not know those of v6e; use v5e, v5p or v4"
if [ -z "$version" ]; then
  case $generation in
    v5litepod) version=v2-alpha-tpuv5-lite ;;
    v5p) version=v2-alpha-tpuv5 ;;
    v6e) version=v2-alpha-tpuv6e ;;
    *) version=tpu-ubuntu2204-base ;;
  esac
fi

case $mode in
  on-demand | spot)
    command=(gcloud compute tpus tpu-vm create "$NAME" "${PLACE[@]}" "--accelerator-type=$generation-$size"
      "--version=$version")
    ;;
  queued | queued-spot)
    command=(gcloud compute tpus queued-resources create "$NAME" "--node-id=$NAME" "${PLACE[@]}"
      "--accelerator-type=$generation-$size" "--runtime-version=$version")
    ;;
  *) die "--mode: '$mode' is not on-demand, spot, queued or queued-spot" ;;
esac
case $mode in *spot) command+=(--spot) ;; esac

queued=""
case $mode in queued*) queued=" --queued" ;; esac
LEFT="perhaps a part of $NAME; look with tpu/watch.sh $NAME --zone $zone$queued"
LEFT+=" and remove it with tpu/delete.sh $NAME --zone $zone$queued"
run "${command[@]}"
[ -n "$dry_run" ] || say "$NAME costs money from the moment it is ready until tpu/delete.sh $NAME --zone $zone$queued"
