#!/bin/bash
# Makes the CUDA build of torch importable on a CPU without the nvidia wheels. usage: cuda_stubs.sh VENV_DIR
#
# For every CUDA library that torch/lib/*.so needs and that is absent, build a shared object of that name which exports the
# symbols torch would bind to it, each as a function that aborts when called, and put it into torch/lib.
set -e
PYTHON=${1:-venv}/bin/python
SITE=$($PYTHON -c 'import sysconfig; print(sysconfig.get_paths()["purelib"])')
LIB="$SITE/torch/lib"
WORK=$(mktemp -d)

for file in "$LIB"/*.so; do
  nm -D --undefined-only "$file" 2>/dev/null | awk '{print $2}'
done | sed 's/@.*//' | sort -u > "$WORK/undefined"

needed() {
  for file in "$LIB"/*.so; do readelf -d "$file" | sed -n 's/.*NEEDED.*\[\(.*\)\].*/\1/p'; done | sort -u
}

# the symbols of a library, as a pattern
pattern() {
  case $1 in
    libcublasLt) echo '^cublasLt';; libcublas) echo '^cublas([^L]|L[^t])';; libcudnn) echo '^cudnn';;
    libcufft) echo '^cufft';; libcufile) echo '^cuFile';; libcurand) echo '^curand';;
    libcusolver) echo '^cusolver';; libcusparseLt) echo '^cusparseLt';; libcusparse) echo '^cusparse([^L]|L[^t])';;
    libnccl) echo '^(nccl|pnccl)';; libnvrtc) echo '^nvrtc';; libnvshmem_host) echo '^nvshmem';;
    libcupti) echo '^cupti';; libcudart) echo '^(cuda[A-Z]|__cuda)';; libnvToolsExt) echo '^nvtx';;
    libnvJitLink) echo '^nvJitLink';; *) echo '^$';;
  esac
}

for name in $(needed); do
  case $name in
    libcuda.so.1) continue;;                       # opened lazily; the driver must never be replaced
    libcu*|libnccl*|libnv*) ;;
    *) continue;;
  esac
  ls "$SITE"/nvidia/*/lib/"$name" > /dev/null 2>&1 && continue
  [ -e "$LIB/$name" ] && [ ! -e "$LIB/$name.stub" ] && continue
  {
    echo '#include <stdio.h>'
    echo '#include <stdlib.h>'
    grep -E "$(pattern "${name%%.so*}")" "$WORK/undefined" |
      awk '{printf "long %s(void) { fputs(\"stub %s called\\n\", stderr); abort(); }\n", $1, $1}'
  } > "$WORK/stub.c"
  gcc -O0 -shared -fPIC -w -Wl,-soname,"$name" -o "$LIB/$name" "$WORK/stub.c"
  : > "$LIB/$name.stub"
done
rm -r "$WORK"
