#!/bin/sh
# Finds a Python that will do, and has it make .venv from a pinned requirements file: config/venv.sh requirements.txt
# An old Python, or one without its venv module, is met by one sentence with the cure. PYTHON names one to take.
set -eu
cd "${0%/*}/.."
requirements=$1

if [ -n "${PYTHON:-}" ]; then set -- "$PYTHON"; else set -- python3.14 python3.13 python3.12 python3.11 python3 python; fi
if .venv/bin/python -c 'import pip, sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
  exec .venv/bin/python -I config/own_venv.py "$requirements"
fi
old='' incomplete=''
for python in "$@"; do
  version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null) || continue
  if ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
    old=${old:-$version}
  elif ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
    incomplete=${incomplete:-$version}
  else
    exec "$python" -I config/own_venv.py "$requirements"
  fi
done

if [ -n "$incomplete" ]; then
  echo "Python $incomplete lacks its venv module: install it (Debian, Ubuntu: apt install python$incomplete-venv) and run make again." >&2
elif [ -n "$old" ]; then
  echo "Python $old is too old, 3.11 or newer is needed: install one and run make again, or name it: make PYTHON=/path/to/python3.11" >&2
elif [ -n "${PYTHON:-}" ]; then
  echo "$PYTHON does not run: name a Python 3.11 or newer, or leave PYTHON out and let make find one." >&2
else
  echo "No Python was found, 3.11 or newer is needed: install one (Debian, Ubuntu: apt install python3 python3-venv) and run make again." >&2
fi
exit 1
