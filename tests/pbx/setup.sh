#!/bin/bash
# Sets up what ./test and ./demo need on a bare Debian: packages, the virtual environment, an Asterisk.
# What is there already is left alone, and a second run fetches nothing.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
root=${VIPEX_LAB_ROOT:-/var/lib/vipex-lab/asterisk}
export DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8

say() { printf '== %s\n' "$*" >&2; }

packages() {
  local wanted=() name
  for name in python3-venv debootstrap sip-tester systemd; do
    dpkg-query -W -f '${Status}' "$name" 2>/dev/null | grep -q 'ok installed' || wanted+=("$name")
  done
  [ ${#wanted[@]} -eq 0 ] && return
  say "installing ${wanted[*]}"
  apt-get update -qq
  apt-get install -y -qq --no-install-recommends "${wanted[@]}" >/dev/null
}

environment() {
  local stamp
  stamp=$(cat "$here/setup.cfg" "$here/requirements.lock" | sha256sum | cut -d' ' -f1)
  [ "$(cat "$here/.venv/stamp" 2>/dev/null)" = "$stamp" ] && [ -x "$here/.venv/bin/vipex-bridge" ] && return
  say "making the virtual environment"
  python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { say "Python 3.11 or newer is needed"; exit 1; }
  rm -rf "$here/.venv"
  python3 -m venv "$here/.venv"
  "$here/.venv/bin/pip" install -q --disable-pip-version-check -r "$here/requirements.lock" "setuptools>=69"
  "$here/.venv/bin/pip" install -q --disable-pip-version-check --no-deps --no-build-isolation -e "$here"
  echo "$stamp" > "$here/.venv/stamp"
}

asterisk_root() {
  command -v asterisk >/dev/null && return
  [ -e "$root.made" ] && [ -x "$root/usr/sbin/asterisk" ] && [ -x "$root/usr/bin/python3" ] && return
  say "making an Asterisk in $root (about a minute)"
  # bookworm's debootstrap has no script under the testing release's name; sid's is the same.
  [ -e /usr/share/debootstrap/scripts/forky ] || ln -s sid /usr/share/debootstrap/scripts/forky
  mountpoint -q "$root/proc" && umount "$root/proc"
  rm -rf "$root" "$root.made"
  mkdir -p "$(dirname "$root")"
  debootstrap --variant=minbase --include=asterisk,python3 forky "$root" > "$root.log" 2>&1 || { tail -20 "$root.log" >&2; exit 1; }
  touch "$root.made"
}

packages
environment
asterisk_root
