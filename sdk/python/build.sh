#!/bin/sh
# Makes a component of a job in Python: build.sh JOB.py OUT.wasm [WIT_FOLDER_OF_WASI]
#
# Needs componentize-py 0.25 on the PATH (pip install componentize-py), and the WIT files of WASI 0.3.2. The crate `wasip3` carries
# them: where cargo has fetched it, they are found.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
source=$1
out=$2
cargo_home=${CARGO_HOME:-$HOME/.cargo}
wasi=${3:-$(ls -d "$cargo_home"/registry/src/*/wasip3-0.10.*/wit/deps 2>/dev/null | tail -n 1)}
[ -d "$wasi" ] || { echo "build.sh: no WIT files of WASI; run \`cargo fetch\` in the project, or name their folder" >&2; exit 2; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$work/wit/deps" "$work/app"
cp "$here/wit/job.wit" "$work/wit/"
cp "$wasi"/*.wit "$here/../../wit/0.1/proxy/proxy.wit" "$work/wit/deps/"
cp "$here/ocho_job.py" "$work/app/"
cp "$source" "$work/app/job_module.py"
componentize-py -q -d "$work/wit" -w job componentize -p "$work/app" job_module -o "$out"
