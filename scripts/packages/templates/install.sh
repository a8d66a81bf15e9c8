#!/bin/sh
# Installs odist: one file, and with --service what keeps a node running. Wants no root; as root it installs for everybody.
#
#   curl -fsSL @RELEASES@/latest/download/install.sh | sh
#   sh install.sh [--service] [--version VERSION] [--dir FOLDER] [--from FOLDER|ADDRESS]
#
# Whatever is fetched is compared with the SHA-256 in the release's SHA256SUMS. `odist uninstall` takes all of it away again.
# Made by scripts/packages/generate.ts; edit scripts/packages/templates/install.sh.
set -eu

releases='@RELEASES@'

say() { printf '%s\n' "$*"; }
fail() {
  printf 'install.sh: %s\n' "$*" >&2
  exit 1
}
has() { command -v "$1" >/dev/null 2>&1; }

usage() {
  say 'Usage: sh install.sh [--service] [--version VERSION] [--dir FOLDER] [--from FOLDER|ADDRESS]'
  say '  --service   keep a node running: a unit of systemd, an agent of launchd; as root one of the system'
  say '  --version   a release other than the newest, such as @VERSION@'
  say '  --dir       where the file goes (default: ~/.local/bin, as root /usr/local/bin)'
  say '  --from      a folder, or the address of one, with a release in it'
}

# The name of the file for this machine.
file_for() {
  case $(uname -s) in
    Linux) os=linux ;;
    Darwin) os=darwin ;;
    *) fail "there is no file for $(uname -s): wanted Linux or macOS (Windows: install.ps1)" ;;
  esac
  case $(uname -m) in
    x86_64 | amd64) arch=x86_64 ;;
    aarch64 | arm64) arch=aarch64 ;;
    *) fail "there is no file for $(uname -m): wanted x86_64 or aarch64" ;;
  esac
  # What the file brings is linked against glibc.
  if [ "$os" = linux ] && ! ls /lib*/ld-linux-* >/dev/null 2>&1; then
    fail 'this Linux has no glibc: wanted one with /lib/ld-linux-*.so (musl alone, as in Alpine, does not do)'
  fi
  say "odist-$os-$arch"
}

# fetch NAME TO: from the folder or the address in $from.
fetch() {
  case $from in
    http://* | https://*)
      if has curl; then
        curl -fsSL --retry 2 -o "$2" "$from/$1" || fail "cannot fetch $from/$1"
      elif has wget; then
        wget -q -O "$2" "$from/$1" || fail "cannot fetch $from/$1"
      else
        fail 'wanted curl or wget: there is neither'
      fi
      ;;
    *) cp "$from/$1" "$2" || fail "cannot read $from/$1" ;;
  esac
}

sha256_of() {
  if has sha256sum; then
    sha256sum "$1" | cut -d ' ' -f 1
  elif has shasum; then
    shasum -a 256 "$1" | cut -d ' ' -f 1
  elif has openssl; then
    openssl dgst -sha256 -r "$1" | cut -d ' ' -f 1
  else
    fail 'wanted sha256sum, shasum or openssl to compare what was fetched: there is none'
  fi
}

# verify FILE NAME: FILE is what SHA256SUMS says of NAME.
verify() {
  wanted=
  while read -r digest name; do
    case $name in "$2" | "*$2") wanted=$digest ;; esac
  done <"$work/SHA256SUMS"
  [ -n "$wanted" ] || fail "SHA256SUMS of $from has no $2: that release has no file for this machine"
  present=$(sha256_of "$1")
  [ "$present" = "$wanted" ] ||
    fail "$2 is not what was released: wanted SHA-256 $wanted, got $present; nothing was installed"
}

# What the services of systemd and launchd are told; $file is the program.
system_unit() {
  cat <<UNIT
@SYSTEM_UNIT@
UNIT
}

user_unit() {
  cat <<UNIT
@USER_UNIT@
UNIT
}

agent() {
  cat <<AGENT
@AGENT@
AGENT
}

# place PATH: what comes in, as a file that others may read.
place() {
  mkdir -p "$(dirname "$1")"
  cat >"$1.unfinished"
  chmod 644 "$1.unfinished"
  mv "$1.unfinished" "$1"
  say "$1 is there"
}

# start COMMAND...: a service manager that doesn't answer is told of, and is no failure: the unit is there for when it does.
start() {
  if "$@"; then
    say 'the node runs as a service'
  else
    say "no service manager took it: start it with \"$*\""
  fi
}

install_service() {
  home=${HOME:?wanted HOME, the folder of this user}
  if [ "$(uname -s)" = Darwin ]; then
    if [ "$(id -u)" = 0 ]; then
      agent | place '@SYSTEM_AGENT_PATH@'
      start launchctl bootstrap system '@SYSTEM_AGENT_PATH@'
    else
      path="$home/@USER_AGENT_PATH@"
      agent | place "$path"
      start launchctl bootstrap "gui/$(id -u)" "$path"
    fi
  elif [ "$(id -u)" = 0 ]; then
    system_unit | place '@SYSTEM_UNIT_PATH@'
    systemctl daemon-reload 2>/dev/null || true
    start systemctl enable --now @SERVICE@
  else
    user_unit | place "$home/@USER_UNIT_PATH@"
    systemctl --user daemon-reload 2>/dev/null || true
    start systemctl --user enable --now @SERVICE@
    say "so that it runs while you are not logged in: loginctl enable-linger"
  fi
}

main() {
  from='' version='' dir='' service=no
  while [ $# -gt 0 ]; do
    case $1 in
      --service) service=yes ;;
      --version | --dir | --from)
        [ $# -ge 2 ] || fail "$1 wants a value"
        case $1 in
          --version) version=${2#v} ;;
          --dir) dir=$2 ;;
          --from) from=${2%/} ;;
        esac
        shift
        ;;
      -h | --help)
        usage
        exit 0
        ;;
      *)
        usage >&2
        fail "there is no $1"
        ;;
    esac
    shift
  done
  if [ -z "$from" ]; then
    from=$releases/latest/download
    if [ -n "$version" ]; then from=$releases/download/v$version; fi
  fi
  if [ -z "$dir" ]; then
    if [ "$(id -u)" = 0 ]; then dir=/usr/local/bin; else dir=${HOME:?wanted HOME or --dir}/.local/bin; fi
  fi
  case $dir in
    /*) ;;
    *) dir=$PWD/$dir ;;
  esac
  case $dir in
    *[!A-Za-z0-9_./@+-]*) fail "--dir must be a path of letters, digits and ./_@+-: current value is \"$dir\"" ;;
  esac

  name=$(file_for)
  mkdir -p "$dir"
  # Beside its place, so that the last step is a rename; and such a folder may hold programs, where /tmp may not.
  work=$(mktemp -d "$dir/.odist-install-XXXXXX") || fail "cannot write to $dir: name another one with --dir"
  trap 'rm -rf "$work"' EXIT
  trap 'exit 130' INT
  trap 'exit 143' TERM
  fetch SHA256SUMS "$work/SHA256SUMS"
  say "fetching $name from $from"
  fetch "$name" "$work/odist"
  verify "$work/odist" "$name"
  chmod 755 "$work/odist"
  started=$("$work/odist" version) || fail "$name does not start on this machine; nothing was installed"
  if [ -n "$version" ] && [ "$started" != "odist version $version" ]; then
    fail "wanted version $version, got \"$started\"; nothing was installed"
  fi
  file=$dir/odist
  mv "$work/odist" "$file"
  say "$file is $started"
  case :$PATH: in
    *":$dir:"*) ;;
    *) say "$dir is not in PATH: add it, or type $file" ;;
  esac
  if [ "$service" = yes ]; then
    install_service
  else
    say 'next: odist serve, and in another terminal: odist run tiny'
  fi
}

main "$@"
