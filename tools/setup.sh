#!/bin/bash
# setup.sh [--all]: everything that `make test` needs, below ${PYEXT_CACHE:-PROJECT/.cache}; quick when it is done.
#   packages      gdb, gdbserver, a C compiler, binutils, patchelf, zstd, libpython's static archive: by apt, only what is missing
#   venv/         pytest and the tools that the tests compare with (tests/requirements.txt)
#   targets/      CPythons and GDBs of later releases, other allocators (tools/targets.sh)
#   made/         copies of interpreters: patched to run where they were unpacked, stripped, static, position independent
#   peers/VERSION/   tools that run in the process (benches/requirements.txt), for pyenv's 3.11 and 3.13
#   interpreters.json   what the tests run on, and what is missing and why (tests/rig/discover.py)
# --all adds the debug builds, GDB 10, 2.7 and 3.9 of another distribution, and the free-threaded build.
# A required interpreter that is not to be had does not end this script: it is listed, and the tests fail on it.
set -euo pipefail
HERE=$(cd "$(dirname "$0")/.." && pwd)
mkdir -p "${PYEXT_CACHE:-$HERE/.cache}"
CACHE=$(cd "${PYEXT_CACHE:-$HERE/.cache}" && pwd); export PYEXT_CACHE=$CACHE
MADE=$CACHE/made; TARGETS=$CACHE/targets; VENV=$CACHE/venv
mkdir -p "$MADE" "$TARGETS"
WANTED="new gdb gdb10 malloc" PEERS="3.11 3.13"
case ${1:-} in
  '') ;;
  --all) WANTED="new gdb dbg gdb10 old nogil malloc" ;;
  *) sed -n '2,10p' "$0"; exit 2 ;;
esac
say() { echo "setup: $*"; }

# ---- packages -------------------------------------------------------------------------------------------------

have_command() { command -v "$1" >/dev/null 2>&1; }
missing_packages() {
  have_command gdb || echo gdb
  have_command gdbserver || echo gdbserver
  have_command patchelf || echo patchelf
  have_command strip || echo binutils
  have_command gcc || echo gcc libc6-dev
  have_command zstd || echo zstd
  if [ -r /etc/debian_version ]; then
    [ -x /usr/bin/python3.11 ] || echo python3.11
    [ -e /usr/lib/python3.11/config-3.11-x86_64-linux-gnu/libpython3.11.a ] || echo libpython3.11-dev
    [ -e /usr/include/expat.h ] || echo libexpat1-dev
    [ -e /usr/include/zlib.h ] || echo zlib1g-dev
  fi
  host_python >/dev/null || echo python3-venv
}
# A Python that can make a virtual environment with pip in it; a bare python3 of Debian's cannot.
host_python() {
  local p
  for p in python3 /usr/bin/python3; do
    if "$p" -c 'import ensurepip, venv, sys; sys.exit(sys.version_info < (3, 9))' 2>/dev/null; then echo "$p"; return; fi
  done
  return 1
}
install_packages() {
  local lack as_root=
  lack=$(missing_packages | tr '\n' ' ')
  [ -n "$lack" ] || return 0
  if [ "$(id -u)" != 0 ]; then as_root="sudo -n"; fi
  if ! have_command apt-get || { [ -n "$as_root" ] && ! sudo -n true 2>/dev/null; }; then
    say "please install: $lack"; say "(needs apt-get, and root or sudo without a password)"; return 1
  fi
  say "installing: $lack"
  $as_root apt-get -qq update
  # shellcheck disable=SC2086  # a list of words
  DEBIAN_FRONTEND=noninteractive $as_root apt-get -qq -y --no-install-recommends install $lack >/dev/null
  lack=$(missing_packages | tr '\n' ' ')
  [ -z "$lack" ] || { say "still missing after apt-get install: $lack"; return 1; }
}

# ---- the virtual environment ------------------------------------------------------------------------------------

make_venv() {
  local stamp=$VENV/.requirements
  cmp -s "$stamp" "$HERE/tests/requirements.txt" && [ -x "$VENV/bin/pytest" ] && return 0
  say "virtual environment: $(grep -vc '^#' "$HERE/tests/requirements.txt") packages"
  "$(host_python)" -m venv "$VENV"
  "$VENV/bin/pip" -q --disable-pip-version-check install -r "$HERE/tests/requirements.txt"
  cp "$HERE/tests/requirements.txt" "$stamp"
}

# Apart from the interpreters, which others use.
make_peers() {
  local minor exe out
  for minor in $PEERS; do
    out=$CACHE/peers/$minor
    cmp -s "$out/.requirements" "$HERE/benches/requirements.txt" && continue
    exe=$(pyenv_versions | grep "/$minor\." | tail -1)/bin/python$minor
    [ -x "$exe" ] || { say "peers: no CPython $minor of pyenv"; continue; }
    say "peers: packages for $minor"
    rm -rf "$out"
    "$exe" -m pip -q --disable-pip-version-check install --root-user-action ignore --target "$out" -r "$HERE/benches/requirements.txt"
    cp "$HERE/benches/requirements.txt" "$out/.requirements"
  done
}

# ---- interpreters -------------------------------------------------------------------------------------------------

# Why an interpreter could not be made, one line a name: the tests repeat it.
REASONS=$CACHE/missing.txt
: > "$REASONS"
cannot() { say "missing $1: $2"; printf '%s\t%s\n' "$1" "$2" >> "$REASONS"; }

unpack_targets() {
  local what
  for what in $WANTED; do
    [ -e "$TARGETS/.done/$what" ] && continue
    say "unpacking: $what"
    "$HERE/tools/targets.sh" "$TARGETS" "$what" > "$TARGETS/$what.log" 2>&1 ||
      cannot "$what" "tools/targets.sh failed: $(tail -1 "$TARGETS/$what.log")"
  done
}

# The kernel starts such a copy itself, so GDB sees the interpreter, and not ld.so, as the main program.
patch_one() { # root executable copy
  [ "$3" -nt "$2" ] && return 0
  mkdir -p "${3%/*}"
  local lib=$1/usr/lib/x86_64-linux-gnu loader
  # Older releases link it by an absolute path, which is the wrong file outside of a chroot: follow relative links only.
  for loader in "$1"/usr/lib64/ld-linux-x86-64.so.2 "$1"/lib/x86_64-linux-gnu/ld-[0-9]*.so; do
    case $(readlink "$loader") in /*) continue ;; esac
    [ -e "$loader" ] && break
  done
  cp "$2" "$3.new"
  patchelf --set-interpreter "$loader" --set-rpath "$lib:$1/lib/x86_64-linux-gnu" "$3.new"
  touch "$3.new"; mv "$3.new" "$3"
}
patch_all() {
  local root exe
  for root in "$TARGETS"/*-amd64; do
    for exe in "$root"/usr/bin/python[23].*; do
      # Debug builds are python2.7-dbg and python3.14d; to the latter python3.14-dbg is a link.
      case ${exe##*/} in *-config|*'*'*) continue ;; esac
      [ -L "$exe" ] || patch_one "$root" "$exe" "$MADE/${root##*/}/${exe##*/}"
    done
  done
}

pyenv_versions() {
  local root=${PYENV_ROOT:-}
  if [ -z "$root" ]; then root=$( (have_command pyenv && pyenv root) || echo "$HOME/.pyenv"); fi
  ls -d "$root"/versions/[23].* 2>/dev/null || true
}

# The executable has a RUNPATH, so LD_LIBRARY_PATH wins and the very same executable runs on the stripped library.
strip_pyenv() {
  local v lib out
  for v in $(pyenv_versions); do
    for lib in "$v"/lib/libpython[23].*.so.1.0; do
      [ -e "$lib" ] || continue
      out=$MADE/stripped/${v##*/}/lib/${lib##*/}
      [ "$out" -nt "$lib" ] && continue
      mkdir -p "${out%/*}"
      cp "$lib" "$out.new"; chmod u+w "$out.new"; strip -s "$out.new"; touch "$out.new"; mv "$out.new" "$out"
    done
  done
}

strip_free_threaded() {
  local exe=$TARGETS/nogil-3.13/bin/python3.13t out=$MADE/stripped/nogil-3.13/python3.13t
  [ -e "$exe" ] && [ ! "$out" -nt "$exe" ] || return 0
  mkdir -p "${out%/*}"
  cp "$exe" "$out.new"; strip -s "$out.new"; touch "$out.new"; mv "$out.new" "$out"
}

# Executables that hold the whole interpreter, as an application that embeds Python ships it.
build_embedded() {
  local config=/usr/lib/python3.11/config-3.11-x86_64-linux-gnu dir=$MADE/embedded
  local libs="-lexpat -lz -lm -ldl -lutil -lpthread"
  [ -e "$config/libpython3.11.a" ] || { cannot 3.11-static-nosyms "no $config/libpython3.11.a"; return 0; }
  mkdir -p "$dir"
  cat > "$dir/m.c" <<'C'
#include <wchar.h>
int Py_BytesMain(int argc, char **argv);
int main(int argc, char **argv) { return Py_BytesMain(argc, argv); }
C
  link_one() { # name archive flags: static archives name their own needs last
    local out=$dir/$1 archive=$2; shift 2
    [ -x "$out" ] && return 0
    # shellcheck disable=SC2086  # a list of words
    gcc -O1 "$@" -o "$out.new" "$dir/m.c" "$archive" $libs > "$out.log" 2>&1 || {
      cannot "${out##*/}" "the linker said: $(grep -m1 -E 'error|undefined|cannot' "$out.log" || tail -1 "$out.log")"; return 0; }
    strip -s "$out.new"; mv "$out.new" "$out"
  }
  link_one 3.11-static-nosyms "$config/libpython3.11.a" -static -no-pie
  link_one 3.11-pie "$config/libpython3.11-pic.a" -pie -rdynamic
  link_one 3.11-static-pie-nosyms "$config/libpython3.11-pic.a" -static-pie
}

install_packages
make_venv
unpack_targets
patch_all
strip_pyenv
strip_free_threaded
build_embedded
make_peers
pyenv_versions > "$CACHE/pyenv.txt"
"$VENV/bin/python" "$HERE/tests/rig/discover.py" "$CACHE"
