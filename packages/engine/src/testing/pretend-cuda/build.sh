#!/usr/bin/env bash
# Builds pretend libraries of CUDA 13 and cuDNN 9: build.sh OUT INCLUDE
# OUT: folder for the libraries. INCLUDE: folder with cuda_runtime_api.h, of the wheels nvidia-cuda-runtime and nvidia-cuda-crt.
set -euo pipefail
out=$1 include=$2 here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$out"

# The provider asks for symbols with the name of their library as version.
library() {
  local name=$1
  shift
  echo "$name { global: *; };" >"$out/$name.map"
  cc -shared -fPIC -O1 -w -I "$include" -I "$here" -o "$out/$name" -Wl,-soname,"$name" \
    -Wl,--version-script="$out/$name.map" "$@"
  rm "$out/$name.map"
}

cd "$here"
library libcudart.so.13 runtime.c runtime-plain.c counters.c -lpthread
library libcublas.so.13 cublas.c "$out/libcudart.so.13"
library libcublasLt.so.13 cublaslt.c "$out/libcudart.so.13"
library libcudnn.so.9 cudnn.c "$out/libcudart.so.13"
library libcurand.so.10 curand.c
cc -shared -fPIC -w -I "$here" -o "$out/libcuda.so.1" -Wl,-soname,libcuda.so.1 driver.c
