#!/bin/bash
# demo.sh: debugs a small program that hangs (tools/demo/shop.py), live and from its core, and shows what GDB answers.
# Needs the built library, gdb, and a CPython 3.6 to 3.15; what is missing is installed (apt-get; tools/setup.sh).
# $PYTHON and $PYEXT_GDB choose another interpreter and another GDB. The status is 0 if every command showed what the
# program is known to do.
set -euo pipefail
HERE=$(cd "$(dirname "$0")/.." && pwd)
say() { printf '\n=== %s\n\n' "$*"; }
fail() { echo "demo: $*" >&2; exit 1; }

# ---- what is needed ---------------------------------------------------------------------------------------------

GDB=${PYEXT_GDB:-gdb}
if ! command -v "$GDB" >/dev/null; then
  as_root=
  [ "$(id -u)" = 0 ] || as_root="sudo -n"
  echo "demo: installing gdb"
  { command -v apt-get && $as_root apt-get -qq update &&
    DEBIAN_FRONTEND=noninteractive $as_root apt-get -qq -y --no-install-recommends install gdb; } >/dev/null ||
    fail "please install gdb (10 or later, with Python)"
fi
# Variables for the interpreter that is debugged would reach the Python inside of GDB too.
gdb() { env -u PYTHONHOME -u PYTHONPATH LC_ALL=C.UTF-8 "$GDB" -nx -batch "$@"; }
gdb -ex 'python import sys; sys.exit(sys.version_info < (3, 6))' >/dev/null 2>&1 ||
  fail "$GDB has no Python 3.6 or later inside: pyext needs one"

# The interpreter itself, and not a shim or a link to it; nothing if it is none that pyext reads.
supported() {
  "$1" -c 'import ctypes, os, platform, sys
cpython = platform.python_implementation() == "CPython" and platform.machine() == "x86_64"
known = cpython and (3, 6) <= sys.version_info[:2] <= (3, 15)
print(os.path.realpath(sys.executable)) if known else sys.exit(1)' 2>/dev/null
}
find_python() {
  local one candidates=(python3 /usr/bin/python3 python3.{15..6})
  [ -z "${PYTHON:-}" ] || candidates=("$PYTHON")
  for one in "${candidates[@]}"; do
    supported "$one" && return
  done
  return 1
}
if ! PYTHON_EXE=$(find_python); then
  [ -z "${PYTHON:-}" ] || fail "$PYTHON is no CPython 3.6 to 3.15 for x86-64"
  "$HERE/tools/setup.sh"
  PYTHON_EXE=$(find_python) || fail "no CPython 3.6 to 3.15 for x86-64 is there"
fi

# ---- the program ------------------------------------------------------------------------------------------------

DIR=$(mktemp -d)
PID=
finish() {
  [ -z "$PID" ] || kill -9 "$PID" 2>/dev/null || true
  rm -rf "$DIR"
}
trap finish EXIT
mkfifo "$DIR/ready"

say "A program that hangs: $("$PYTHON_EXE" --version 2>&1), ${PYTHON_EXE##*/} tools/demo/shop.py"
(cd "$HERE" && LC_ALL=C.UTF-8 MALLOC_ARENA_MAX=1 exec "$PYTHON_EXE" tools/demo/shop.py "$DIR/ready") 2> "$DIR/log" &
PID=$!
disown
# Both ends are opened here, so that neither side waits for the other to open its own.
exec 3<> "$DIR/ready"
until read -r -t 0.2 -u 3 _; do
  kill -0 "$PID" 2>/dev/null || fail "the program ended: $(cat "$DIR/log")"
done
# Every thread is on its way. When all of them sleep, nobody holds the GIL: each has arrived where it waits.
while grep -hvqE '^[0-9]+ \(.*\) S ' /proc/"$PID"/task/*/stat; do
  read -r -t 0.05 -u 3 _ || true
done
echo "It runs as process $PID, uses no processor time, and handles no order."

# ---- what GDB says ----------------------------------------------------------------------------------------------

# GDB's own warnings are noise here; they are shown if something fails.
in_gdb() {
  gdb -iex 'set debuginfod enabled off' -iex 'set auto-load python-scripts off' "$@" \
    -ex "source $HERE/gdb-scripts/pyext.py" -ex "source $HERE/tools/demo/show.py" 2> "$DIR/gdb.log" > "$DIR/out" &&
    status=0 || status=$?
  sed -n '/^# /,$p' "$DIR/out"
  [ "$status" = 0 ] || { cat "$DIR/gdb.log" "$DIR/out" >&2; fail "GDB showed something else than the program does"; }
}

say "Live: gdb -p $PID, then: source gdb-scripts/pyext.py"
export SHOP_CORE=$DIR/shop.core
SHOP_PID=$PID in_gdb
kill -9 "$PID" 2>/dev/null || fail "the process did not survive being looked at"
PID=

say "The process is gone. Its core: gdb ${PYTHON_EXE##*/} shop.core"
in_gdb "$PYTHON_EXE" "$SHOP_CORE"
say "Done. README.md and docs/user-guide.md tell the rest."
