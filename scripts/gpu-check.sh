#!/usr/bin/env bash
# One prepared run on a machine with an NVIDIA GPU, within 8 minutes: parity with the CPU, then times beside PyTorch.
#   bash scripts/gpu-check.sh [--small] [--resume FILE] [DEVICE] > gpu-check.jsonl
# Prints JSON lines and goes on after a step that fails, which it names. --small: small sizes, to see that everything runs (also on
# pretend GPUs: SPATIALSV_CUDA="$(node scripts/pretend-cuda.mjs)" bash scripts/gpu-check.sh --small). Needs the built repository
# (npm ci, npm run build), what docs/gpu.md installs, and for the peers a Python with torch, named by SPATIALSV_PYTHON; for
# labelling also SPATIALSV_VGGT_REFERENCE and SPATIALSV_DAV3_REFERENCE.
# --resume FILE passes over the steps that FILE, of an earlier run, says went well:
#   bash scripts/gpu-check.sh --resume gpu-check.jsonl >> gpu-check.jsonl
set -uo pipefail
cd "$(dirname "$0")/.."
small="" resume=/dev/null
while [[ ${1:-} == --* ]]; do
  case $1 in
    --small) small=--small ;;
    --resume)
      resume=${2:?--resume: expected the file of an earlier run}
      if [ ! -r "$resume" ]; then
        echo "--resume: $resume cannot be read" >&2
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

# step NAME SECONDS COMMAND…: its lines of JSON, and one that says how it ended. Nothing is started after the deadline.
step() {
  local name=$1 limit=$2 started=$SECONDS
  shift 2
  if grep -qF "{\"step\":\"$name\",\"rc\":0," "$resume"; then return; fi
  local left=$((deadline - SECONDS))
  if [ $left -le 0 ]; then
    echo "{\"step\":\"$name\",\"rc\":null,\"seconds\":0,\"note\":\"no time was left\"}"
    return
  fi
  if [ $limit -gt $left ]; then limit=$left; fi
  timeout "$limit" "$@"
  local rc=$?
  if [ $rc -ne 0 ]; then failed=1; fi
  echo "{\"step\":\"$name\",\"rc\":$rc,\"seconds\":$((SECONDS - started))}"
}

bench() { node --expose-gc packages/cli/dist/bench/main.js gpu "$@" --device "$device" $small; }
export -f bench
export device small

step doctor 60 node packages/cli/dist/main.js doctor --json
step kernels 150 node scripts/gpu-kernels.mjs "$device"
step step-0.5b 90 bash -c 'bench step-0.5b'
step step-3b 150 bash -c 'bench step-3b'
step answers-3b 90 bash -c 'bench answers-3b'
step da3-large 90 bash -c 'bench da3-large'
step vggt-1b 150 bash -c 'bench vggt-1b'
# TensorFloat-32: what float32 costs without it.
SPATIALSV_TF32=1 step step-0.5b-tf32 60 bash -c 'bench step-0.5b'
exit $failed
