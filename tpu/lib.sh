# shellcheck shell=bash
# What the scripts of this folder share: options, checks, and running or only showing a command. Sourced, never run.
# Written for bash 3.2, which macOS has.
# shellcheck disable=SC2034  # what is set here is read there

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
REMOTE=kerasft # the project's folder in the home of the TPU VM
LEFT="nothing" # what a failure leaves behind; each script keeps it up to date
dry_run="" zone="" project="" positional=()

# The comment at the head of the script is its help.
usage() { awk 'NR == 1 { next } /^#/ { sub(/^# ?/, ""); print; next } { exit }' "$0"; }

die() {
  printf 'error: %s; see %s --help\n' "$1" "$0" >&2
  exit 2
}

# parse OPTIONS FLAGS ARGUMENT...: --a-b VALUE and --a-b=VALUE set $a_b, a flag --c sets $c to 1. The rest, and all
# that follows --, goes to $positional.
parse() {
  local options=" zone project $1 " flags=" dry-run $2 " name value
  shift 2
  while [ $# -gt 0 ]; do
    case $1 in
      -h | --help)
        usage
        exit 0
        ;;
      --)
        shift
        positional+=("$@")
        return
        ;;
      --*)
        name=${1#--}
        name=${name%%=*}
        if [ "${flags#* "$name" }" != "$flags" ]; then
          [ "$1" = "--$name" ] || die "--$name takes no value"
          value=1
        elif [ "${options#* "$name" }" = "$options" ]; then
          die "--$name: unknown option"
        elif [ "$1" != "--$name" ]; then
          value=${1#*=}
        else
          [ $# -gt 1 ] || die "--$name needs a value"
          value=$2
          shift
        fi
        printf -v "${name//-/_}" %s "$value"
        ;;
      *) positional+=("$1") ;;
    esac
    shift
  done
}

# Takes the first of $positional as the name of the TPU VM and checks what every command needs.
take_name() {
  [ ${#positional[@]} -gt 0 ] || die "NAME of the TPU VM: missing"
  NAME=${positional[0]}
  positional=("${positional[@]:1}")
  [[ $NAME =~ ^[a-z]([-a-z0-9]{0,61}[a-z0-9])?$ ]] ||
    die "NAME: '$NAME' is not lower-case letters, digits and -, beginning with a letter"
  [ -n "$zone" ] || die "--zone: missing; for example --zone us-west4-a"
  [[ $zone =~ ^[a-z]+-[a-z]+[0-9]+-[a-z]$ ]] || die "--zone: '$zone' is not a zone such as us-west4-a"
  PLACE=("--zone=$zone")
  if [ -n "$project" ]; then
    [[ $project =~ ^[a-z]([a-z0-9.:-]{0,98})$ ]] || die "--project: '$project' is not a project ID"
    PLACE+=("--project=$project")
  fi
  [ -n "$dry_run" ] || command -v gcloud > /dev/null ||
    die "gcloud: not found; install the Google Cloud CLI, or add --dry-run"
}

no_more_arguments() {
  [ ${#positional[@]} -eq 0 ] || die "'${positional[0]}': one argument too many"
}

# Words -> one line that a shell reads back as the same words.
quoted() {
  local word line=""
  for word in "$@"; do
    case $word in
      "" | *[!A-Za-z0-9_./:=,@%+~-]*) word="'${word//\'/\'\\\'\'}'" ;;
    esac
    line+="${line:+ }$word"
  done
  printf %s "$line"
}

# Runs a command, or shows it where --dry-run is given. A failure ends the script and says what is left behind.
run() {
  local code=0
  if [ -n "$dry_run" ]; then
    quoted "$@"
    echo
    return
  fi
  "$@" || code=$?
  [ "$code" -eq 0 ] && return
  printf 'error: exit code %s from: %s\nleft behind: %s\n' "$code" "$(quoted "$@")" "$LEFT" >&2
  exit "$code"
}

say() { printf '%s\n' "$1" >&2; }

# remote WORKER COMMAND: in a shell on that worker (a number or `all`), in the home folder.
remote() { run gcloud compute tpus tpu-vm ssh "$NAME" "${PLACE[@]}" "--worker=$1" "--command=$2"; }

# copy WORKER SOURCE... TARGET, folders included; NAME:path is on the TPU VM.
copy() {
  local worker=$1
  shift
  run gcloud compute tpus tpu-vm scp --recurse "$@" "${PLACE[@]}" "--worker=$worker"
}
