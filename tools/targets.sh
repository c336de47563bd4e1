#!/bin/bash
# targets.sh DEST WHAT...: CPythons and GDBs of other releases, unpacked below DEST without touching the system.
#   new      3.13, 3.14, 3.15 release builds (stripped)            old      2.7 and 3.9 with their debug builds
#   dbg      3.14 and 3.15 debug builds and the release builds' separate DWARF
#   trixie   3.13 and 3.13-dbg of another patch level              arm      arm64 3.11, 3.14, 3.15 (run under qemu-user)
#   nogil    free-threaded 3.13 built from Debian's source (minutes)
#   gdb      GDB 16, 17, 18 in virtual environments                gdb10    GDB 10 with Python 3.9
#   malloc   jemalloc, tcmalloc, mimalloc, to be preloaded
# A suite's index may be stale or a file gone: the next suite is tried, then the command says so and fails.
# What was unpacked once stays: DEST/.done/WHAT names the directories; remove it to unpack again.
# Run an unpacked interpreter so that GDB still sees it as the main program (tools/setup.sh does this):
#   patchelf --set-interpreter ROOT/usr/lib64/ld-linux-x86-64.so.2 --set-rpath ROOT/usr/lib/x86_64-linux-gnu COPY; PYTHONHOME=ROOT/usr COPY
set -euo pipefail
[ $# -ge 2 ] || { sed -n '2,13p' "$0"; exit 2; }
mkdir -p "$1/.done"; DEST=$(cd "$1" && pwd); shift

# The mirror is the one this machine is configured for: a name written here would be wrong on the next machine.
mirror() {
  cat /etc/apt/sources.list.d/debian.sources 2>/dev/null | awk '/^URIs:/{print $2; exit}' | grep . && return
  awk '$1 == "deb" {for (i = 2; i <= NF; i++) if ($i ~ /^[a-z]+:/) {print $i; exit}}' /etc/apt/sources.list 2>/dev/null | grep . && return
  echo "no Debian mirror is configured in /etc/apt: nothing to unpack from" >&2; return 1
}

state() { # suite arch: an apt state of our own
  D=$DEST/.apt/$1-$2; mkdir -p "$D"/{lists/partial,cache/archives/partial,etc/preferences.d,etc/apt.conf.d,etc/trusted.gpg.d}; : > "$D/status"
  local key=/usr/share/keyrings/debian-archive-keyring.gpg
  printf 'deb [signed-by=%s] %s %s main\ndeb-src [signed-by=%s] %s %s main\n' $key "$MIRROR" "$1" $key "$MIRROR" "$1" > "$D/etc/sources.list"
  cat > "$D/apt.conf" <<X
Dir::Etc "$D/etc"; Dir::Etc::SourceParts "-"; Dir::State::lists "$D/lists"; Dir::State::status "$D/status"; Dir::Cache "$D/cache";
APT::Architecture "$2"; APT::Architectures { "$2"; }; Acquire::Languages "none"; Acquire::Check-Valid-Until "false"; APT::Sandbox::User "root";
X
  APT_CONFIG=$D/apt.conf apt-get -qq update
}

unpack() { # suite arch packages: their whole closure, libc included, into DEST/suite-arch
  state "$1" "$2" || return 1
  local root=$DEST/$1-$2; mkdir -p "$root"
  APT_CONFIG=$D/apt.conf apt-get -qq -y --no-install-recommends --download-only install base-files "${@:3}" >/dev/null || return 1
  for f in "$D"/cache/archives/*.deb; do dpkg-deb -x "$f" "$root" || return 1; done
  rm -f "$D"/cache/archives/*.deb
  echo "$root" >> "$DEST/.done/.$WHAT"
  echo "$root: ${*:3}"
}

first() { # suites arch packages: from the first suite that has them
  local suites=$1; shift
  for s in $suites; do unpack "$s" "$@" && return 0; done
  echo "not to be had: ${*:2}" >&2; return 1
}

new()    { first "sid forky" amd64 usr-is-merged python3.13 python3.14 python3.15; }
dbg()    { first "sid forky" amd64 usr-is-merged python3.14-dbg python3.15-dbg; }
trixie() { unpack trixie amd64 python3.13 python3.13-dbg; }
old()    { unpack bullseye amd64 python2.7-dbg python3.9-dbg; }
arm()    { unpack bookworm arm64 python3.11; first "sid forky" arm64 usr-is-merged python3.14 python3.15; }

nogil() {
  mkdir -p "$DEST/src"
  for s in forky trixie; do
    state $s amd64 && (cd "$DEST/src" && APT_CONFIG=$D/apt.conf apt-get -qq source --download-only python3.13) && break
  done
  cd "$DEST/src"; tar xf "$(ls -t python3.13_*.orig.tar.xz | head -1)"; cd "$(ls -td Python-3.13* | head -1)"; mkdir -p build; cd build
  ../configure -q --disable-gil --disable-test-modules --without-ensurepip --prefix="$DEST/nogil-3.13"
  make -s -j2 >/dev/null; make -s install >/dev/null 2>&1
  "$DEST/nogil-3.13/bin/python3.13t" -c 'import sys; print(sys.version, "GIL", sys._is_gil_enabled())'
  cd "$DEST"; rm -rf "$DEST/src"
  echo "$DEST/nogil-3.13" >> "$DEST/.done/.$WHAT"
}

gdb() {
  local v e
  for v in 16.3.0.post6 17.2.0.post5 18.1.0.post1; do
    e=$DEST/gdb-${v%%.*}
    python3 -m venv "$e"; "$e/bin/pip" -q install "gdb-for-pwndbg==$v"; ls "$e"/bin/*gdb*
    echo "$e" >> "$DEST/.done/.$WHAT"
  done
}

gdb10() {
  unpack bullseye amd64 gdb
  # its own Python and data; the system's libc (its libs, less the libc parts, on the path)
  local R=$DEST/bullseye-amd64 l; mkdir -p "$R/gdblibs"
  for l in "$R"/usr/lib/x86_64-linux-gnu/*.so* "$R"/lib/x86_64-linux-gnu/*.so*; do
    case ${l##*/} in
      ld-*|libc[-.]*|libm[-.]*|libdl[-.]*|libpthread*|librt[-.]*|libresolv*|libnsl*|libnss*|libutil*|libthread_db*|libanl*) ;;
      *) cp -Pn "$l" "$R/gdblibs/";;
    esac
  done
  printf '#!/bin/sh\nLD_LIBRARY_PATH=%s PYTHONHOME=%s exec %s --data-directory %s "$@"\n' "$R/gdblibs" "$R/usr" "$R/usr/bin/gdb" "$R/usr/share/gdb" > "$DEST/gdb10"
  chmod +x "$DEST/gdb10"; "$DEST/gdb10" --version | head -1
}

malloc() {
  # Of an old release: they run with every C library since.
  state bookworm amd64; mkdir -p "$DEST/malloc"; cd "$D/cache/archives"
  APT_CONFIG=$D/apt.conf apt-get -qq download libjemalloc2 libtcmalloc-minimal4 libmimalloc2.0
  for f in *.deb; do dpkg-deb -x "$f" "$DEST/malloc"; rm "$f"; done
  echo "$DEST/malloc" >> "$DEST/.done/.$WHAT"
}

MIRROR=
for WHAT in "$@"; do
  case $WHAT in
    new|dbg|trixie|old|arm|nogil|gdb|gdb10|malloc) ;;
    *) echo "unknown: $WHAT" >&2; exit 2 ;;
  esac
  [ ! -e "$DEST/.done/$WHAT" ] || continue
  [ -n "$MIRROR" ] || MIRROR=$(mirror)
  rm -f "$DEST/.done/.$WHAT"; touch "$DEST/.done/.$WHAT"
  # A subshell of its own: `set -e` holds inside, and a recipe that changes directory harms nobody.
  ( $WHAT )
  mv "$DEST/.done/.$WHAT" "$DEST/.done/$WHAT"
done
