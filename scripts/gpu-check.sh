#!/usr/bin/env bash
# One prepared run on a machine with an NVIDIA GPU, within 8 minutes: parity with the CPU, then times beside PyTorch and memory.
#   bash scripts/gpu-check.sh [--small] [--resume FILE] [DEVICE] > gpu-check.jsonl
# Prints JSON lines alone, what matters most first, and goes on after a step that fails: each has a line with its exit status and
# the end of what it said. --small: small sizes, to see that everything runs (also on pretend GPUs:
# SPATIALSV_CUDA="$(node scripts/pretend-cuda.mjs)" PRETEND_CUDA_COPIES=0 bash scripts/gpu-check.sh --small; what is copied from a GPU that
# computes nothing may read as a loss of NaN, which ends a training). Needs the built repository
# (npm ci, npm run build), what docs/gpu.md installs, 15 GB in the user's cache, and for the peers a Python with torch, named by
# SPATIALSV_PYTHON; for labelling also SPATIALSV_VGGT_REFERENCE and SPATIALSV_DAV3_REFERENCE.
# --resume FILE passes over the steps that FILE, of an earlier run, says went well:
#   bash scripts/gpu-check.sh --resume gpu-check.jsonl >> gpu-check.jsonl
# GPU_CHECK_SECONDS: after so many nothing more is started (480).
set -uo pipefail
cd "$(dirname "$0")/.."
small="" passed=""
while [[ ${1:-} == --* ]]; do
  case $1 in
    --small) small=--small ;;
    --resume)
      if ! passed=$(cat -- "${2:?--resume: expected the file of an earlier run}"); then
        echo "--resume: $2 cannot be read" >&2
        exit 2
      fi
      shift
      ;;
    *)
      echo "unknown: $1; expected --small, --resume FILE or a device" >&2
      exit 2
      ;;
  esac
  shift
done
device=${1:-cuda}
failed=0
deadline=$((SECONDS + ${GPU_CHECK_SECONDS:-480}))
log=$(mktemp)

# What a step said was wrong, or else its last line on standard error, as text of JSON.
said() {
  local line
  line=$(grep -E '^[A-Za-z]*Error' "$log" | tail -n 1)
  if [ -z "$line" ]; then line=$(tail -n 1 "$log"); fi
  echo "$line" | tr -d '\000-\037' | head -c 300 | sed 's/[\\"]/\\&/g'
}

# step NAME SECONDS COMMAND…: its lines of JSON, and one that says how it ended. Nothing is started after the deadline.
step() {
  local name=$1 limit=$2 started=$SECONDS
  shift 2
  if [[ $passed == *"{\"step\":\"$name\",\"rc\":0,"* ]]; then return; fi
  local left=$((deadline - SECONDS))
  if [ $left -le 0 ]; then
    failed=1
    echo "{\"step\":\"$name\",\"rc\":null,\"seconds\":0,\"note\":\"no time was left\"}"
    return
  fi
  if [ $limit -gt $left ]; then limit=$left; fi
  timeout -k 5 "$limit" "$@" 2>"$log"
  local rc=$?
  cat "$log" >&2
  local seconds=$((SECONDS - started)) note=""
  if [ $rc -ne 0 ]; then
    failed=1
    if [ $rc -eq 124 ] || [ $rc -eq 137 ]; then note="ended after $limit s: "; fi
    note=",\"note\":\"$note$(said)\""
  fi
  echo "{\"step\":\"$name\",\"rc\":$rc,\"seconds\":$seconds$note}"
}

bench() { node --expose-gc packages/cli/dist/bench/main.js gpu "$@" --device "$device" $small; }
# Kernels of the CPU are not what is measured.
doctor() {
  SPATIALSV_KERNELS=plain node packages/cli/dist/main.js doctor --json |
    node -e 'console.log(JSON.stringify(JSON.parse(require("fs").readFileSync(0, "utf8"))))'
}
export -f bench doctor
export device small

# Checkpoints are written by one core while the GPU is looked at.
bench files >&2 &
files=$!
trap 'kill "$files" 2>/dev/null; rm -f "$log"' EXIT

step doctor 60 bash -o pipefail -c doctor
step kernels 120 node scripts/gpu-kernels.mjs "$device"
step step-3b 110 bash -c 'bench step-3b'
step answers-3b 60 bash -c 'bench answers-3b'
step files 120 tail --pid="$files" -f /dev/null
# The dense heads are float32 on both sides, and PyTorch's convolutions round to TensorFloat-32 by default: so do ours.
SPATIALSV_TF32=1 step da3-large 60 bash -c 'bench da3-large'
SPATIALSV_TF32=1 step vggt-1b 90 bash -c 'bench vggt-1b'
step train-3b 120 bash -c 'bench train-3b'
step step-0.5b 60 bash -c 'bench step-0.5b'
# TensorFloat-32: what float32 costs without it.
SPATIALSV_TF32=1 step step-0.5b-tf32 60 bash -c 'bench step-0.5b'
exit $failed
