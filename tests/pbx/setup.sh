#!/bin/bash
# Sets up what ./test and ./demo need on a bare Debian: packages, the virtual environment, an Asterisk.
# What is there already is left alone, and a second run fetches nothing.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
root=${VIPEX_LAB_ROOT:-/var/lib/vipex-lab/asterisk}
old_root=${VIPEX_LAB_OLD_ROOT:-/var/lib/vipex-lab/asterisk16}
# A Debian of this machine's own release with nothing but Python in it: where the Debian package is installed.
fresh=$(dirname "$root")/fresh.tar
export DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8

say() { printf '== %s\n' "$*" >&2; }

# What takes long: a bar on a terminal, by how long it usually takes; elsewhere the line alone.
long() {
  local what=$1 usual_s=$2
  shift 2
  say "$what"
  [ -t 2 ] || { "$@"; return; }
  draw "$usual_s" $$ &
  bar=$!
  trap 'kill "$bar" 2>/dev/null; printf "\r\033[K" >&2' EXIT
  "$@"
  kill "$bar" 2>/dev/null || true
  wait "$bar" 2>/dev/null || true
  trap - EXIT
  printf '\r\033[K' >&2
}

draw() {
  local usual_s=$1 of=$2 began=$SECONDS spent filled done=########################
  local left=........................
  while kill -0 "$of" 2>/dev/null; do
    spent=$((SECONDS - began))
    filled=$((24 * spent / (spent < usual_s ? usual_s : spent + 1)))
    printf '\r[%s%s] %d of about %d s' "${done:0:filled}" "${left:filled}" "$spent" "$usual_s" >&2
    sleep 1
  done
}

packages() {
  local wanted=() name
  # php-cli and nodejs run the programs of docs/receiver.md.
  # chromium looks at the console, with a font that is the same everywhere.
  # mariadb-server and postgresql are CDR sources, each started by the tests with a data folder of its own.
  for name in python3-venv debootstrap sip-tester systemd php-cli nodejs chromium fonts-dejavu-core \
    mariadb-server postgresql; do
    dpkg-query -W -f '${Status}' "$name" 2>/dev/null | grep -q 'ok installed' || wanted+=("$name")
  done
  [ ${#wanted[@]} -eq 0 ] && return
  long "installing ${wanted[*]}" 40 install "${wanted[@]}"
}

# No server may start on its own: the tests start theirs.
install() {
  local policy=/usr/sbin/policy-rc.d made='' result=0
  if [ ! -e "$policy" ]; then
    printf '#!/bin/sh\nexit 101\n' > "$policy"
    chmod 755 "$policy"
    made=yes
  fi
  { apt-get update -qq && apt-get install -y -qq --no-install-recommends "$@" >/dev/null; } || result=$?
  [ -z "$made" ] || rm -f "$policy"
  return "$result"
}

environment() {
  local stamp
  stamp=$(cat "$here/setup.cfg" "$here/requirements.lock" | sha256sum | cut -d' ' -f1)
  [ "$(cat "$here/.venv/stamp" 2>/dev/null)" = "$stamp" ] && [ -x "$here/.venv/bin/vipex-bridge" ] && [ -d "$here/.venv/wheels" ] && return
  python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { say "Python 3.11 or newer is needed"; exit 1; }
  long "making the virtual environment" 60 make_environment
  echo "$stamp" > "$here/.venv/stamp"
}

# The wheels stay: the Debian package is made of them.
make_environment() {
  local pip=("$here/.venv/bin/pip" -q --disable-pip-version-check)
  rm -rf "$here/.venv"
  python3 -m venv "$here/.venv"
  "${pip[@]}" wheel --no-deps -w "$here/.venv/wheels" -r "$here/requirements.lock" "setuptools>=69"
  "${pip[@]}" install --no-index --find-links "$here/.venv/wheels" -r "$here/requirements.lock" "setuptools>=69"
  "${pip[@]}" install --no-deps --no-build-isolation -e "$here"
}

asterisk_root() {
  command -v asterisk >/dev/null && return
  [ -e "$root.made" ] && [ -x "$root/usr/sbin/asterisk" ] && [ -x "$root/usr/bin/python3" ] && return
  long "making an Asterisk in $root (about a minute)" 90 make_root
  touch "$root.made"
}

# The oldest Asterisk that is still met, to play the same calls through.
old_asterisk_root() {
  [ -e "$old_root.made" ] && [ -x "$old_root/usr/sbin/asterisk" ] || make_old_root
  has "$old_root" odbc-mariadb asterisk-voicemail
}

make_old_root() {
  mountpoint -q "$old_root/proc" && umount "$old_root/proc"
  rm -rf "$old_root" "$old_root.made"
  mkdir -p "$(dirname "$old_root")"
  debootstrap --variant=minbase --include=asterisk,python3 bullseye "$old_root" > "$old_root.log" 2>&1 || { tail -20 "$old_root.log" >&2; exit 1; }
  touch "$old_root.made"
}

# By ODBC Asterisk writes to MariaDB.
odbc() {
  if command -v asterisk >/dev/null; then
    dpkg-query -W -f '${Status}' odbc-mariadb 2>/dev/null | grep -q 'ok installed' || install odbc-mariadb
  else
    has "$root" odbc-mariadb
  fi
}

# A root made earlier may lack packages that are wanted now.
has() {
  local where=$1
  shift
  chroot "$where" dpkg-query -W "$@" >/dev/null 2>&1 ||
    chroot "$where" sh -c 'apt-get update -qq && apt-get install -y -qq --no-install-recommends "$@" >/dev/null' sh "$@"
}

make_root() {
  # bookworm's debootstrap has no script under the testing release's name; sid's is the same.
  [ -e /usr/share/debootstrap/scripts/forky ] || ln -s sid /usr/share/debootstrap/scripts/forky
  mountpoint -q "$root/proc" && umount "$root/proc"
  rm -rf "$root" "$root.made"
  mkdir -p "$(dirname "$root")"
  debootstrap --variant=minbase --include=asterisk,python3,odbc-mariadb forky "$root" > "$root.log" 2>&1 || { tail -20 "$root.log" >&2; exit 1; }
}

fresh_root() {
  [ -e "$fresh" ] && return
  make_fresh_root
}

make_fresh_root() {
  local made release
  mkdir -p "$(dirname "$fresh")"
  made=$(mktemp -d "$(dirname "$fresh")/fresh.XXXXXX")
  chmod 755 "$made"
  release=$(. /etc/os-release && echo "$VERSION_CODENAME")
  debootstrap --variant=minbase --include=python3,adduser,procps "$release" "$made" > "$fresh.log" 2>&1 || { tail -20 "$fresh.log" >&2; exit 1; }
  ! mountpoint -q "$made/proc" || umount "$made/proc"
  tar -C "$made" --exclude='./var/cache/apt/*' --exclude='./var/lib/apt/lists/*' -cf "$made.tar" .
  mv "$made.tar" "$fresh"
  rm -rf "$made"
}

packages
# Most of what these do is waiting for packages: meanwhile the rest is made.
old_asterisk_root &
old=$!
fresh_root &
fresh_one=$!
environment
asterisk_root
odbc
wait "$old"
wait "$fresh_one"
