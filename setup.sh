#!/bin/sh
# Creates or refreshes .venv. Usage: setup.sh PYTHON base|dev
set -eu
python=$1 level=$2
say() { echo "setup: $*" >&2; exit 1; }

command -v "$python" >/dev/null || say "no '$python' here; install Python 3.11 or newer, or run: make PYTHON=/path/to/python3.11 setup"
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
    say "$("$python" --version) is too old; harlib needs Python 3.11 or newer (make PYTHON=python3.11 setup)"
"$python" -c 'import venv, ensurepip' 2>/dev/null ||
    say "Python's venv module is missing; install it (Debian, Ubuntu: sudo apt install python3-venv)"

[ -x .venv/bin/python ] || "$python" -m venv .venv
case $level in
base) extras='' ;;
dev) extras='[dev,docs,jax,torch,cluster,export,bench,parity,parquet,weights]' ;;
*) say "level '$level' is neither base nor dev" ;;
esac
echo "setup: installing harlib$extras into .venv (a few minutes the first time)"
.venv/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".$extras"

# opencv-python needs two system libraries that minimal images lack.
error=$(.venv/bin/python -c 'import cv2' 2>&1) ||
    say "OpenCV does not load ($(echo "$error" | tail -n 1)); install its system libraries (Debian, Ubuntu: sudo apt install libgl1 libglib2.0-0)"
touch .venv/.base
[ "$level" = base ] || touch .venv/.dev
