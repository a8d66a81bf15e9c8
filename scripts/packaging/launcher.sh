#!/bin/sh
# odist @VERSION@ for @PLATFORM@: Deno, the program, llama.cpp and a tiny model in one file.
# The first start unpacks it into the user's cache (@MEBIBYTES@ MiB); later starts only look whether it is still whole.
set -eu
PATH=${PATH:-/usr/local/bin:/usr/bin:/bin}
export PATH
name='@VERSION@-@DIGEST@'
offset='@OFFSET@'
files='@FILES@'
# What boot.js holds, on one line. It looks at all other scripts before they run.
boot='@BOOT@'

say() { printf 'odist: %s\n' "$1" >&2; }

# Private means: what runs before any script could look belongs to this user, and nobody else can write there.
is_private() {
  for place in "$1" "$1/deno" "$1/boot.js"; do
    { [ -O "$place" ] && ! [ -h "$place" ]; } || return 1
  done
  while read -r modes _; do
    case $modes in ?????-??-*) ;; *) return 1 ;; esac
  done <<LIST
$(ls -ld "$1" "$1/deno" "$1/boot.js")
LIST
}

# Whole means: finished once, nothing missing or empty, nothing written to since, and private.
is_whole() {
  [ -f "$1/.complete" ] || return 1
  is_private "$1" || return 1
  { IFS= read -r line && ! IFS= read -r more && [ -z "$more" ]; } < "$1/boot.js" || return 1
  [ "$line" = "$boot" ] || return 1
  for file in $files; do
    [ -s "$1/$file" ] || return 1
    if [ "$1/$file" -nt "$1/.complete" ]; then return 1; fi
  done
}

# Unpacks into a folder of its own and lets install.ts verify and rename it, so that no start, however many run at
# once, ever sees half a copy.
unpack() {
  usual_mask=$(umask)
  umask 077
  unpack_privately "$1" && status=0 || status=1
  umask "$usual_mask"
  return "$status"
}

unpack_privately() {
  unpacking=$(mktemp -d "$1/.unpack-XXXXXX" 2>/dev/null) || return 1
  trap 'rm -rf "$unpacking"' EXIT
  trap 'exit 130' INT
  trap 'exit 143' TERM
  if [ -t 2 ]; then say "unpacking into $1/$name (once)"; fi
  if tail -c "+$offset" "$0" | gzip -dc 2>/dev/null | tar -xof - -C "$unpacking" 2>/dev/null &&
    DENO_DIR="$unpacking/deno-dir" "$unpacking/deno" run --quiet --no-config --no-lock --no-prompt --cached-only -A \
      "$unpacking/install.ts" "$unpacking" "$1/$name"; then
    status=0
  else
    status=1
  fi
  rm -rf "$unpacking"
  trap - EXIT INT TERM
  return "$status"
}

# The folder for this user below the temporary one; another user's folder of that name is never trusted.
temporary_parent() {
  parent="${TMPDIR:-/tmp}/odist-$(id -u)"
  (umask 077 && mkdir -p "$parent") 2>/dev/null || true
  [ -d "$parent" ] && [ -O "$parent" ] && ! [ -h "$parent" ]
}

# A node writes to its data folder alone. It starts again by itself with the right list where this one is not its own, and has
# how much memory its control group uses as standard input: with such a list Deno opens nothing below /sys.
start_node() {
  data="${ODIST_DATA:-${HOME:-}/.odist}"
  before=
  for word in "$@"; do
    case $word in --data=*) data="${word#--data=}" ;; esac
    if [ "$before" = --data ]; then data="$word"; fi
    before="$word"
  done
  case $data in *,*) return ;; /*) ;; *) return ;; esac
  use=/dev/null
  if [ -r /proc/self/cgroup ]; then
    while IFS=: read -r number _ group; do
      if [ "$number" = 0 ] && [ -r "/sys/fs/cgroup$group/memory.current" ]; then
        use="/sys/fs/cgroup$group/memory.current"
      fi
    done </proc/self/cgroup
  fi
  exec "$folder/deno" run --quiet @SERVING@ "--allow-write=$data,$folder/.complete" \
    --no-config --no-lock --no-prompt --cached-only "$folder/boot.js" "$@" <"$use"
}

# Deno looks for a .npmrc in HOME and gives up where that is no folder.
if [ -e "${HOME:-/}" ] && ! [ -d "${HOME:-/}" ]; then unset HOME; fi

home=
if [ -n "${XDG_CACHE_HOME:-}" ]; then
  home="$XDG_CACHE_HOME/odist"
elif [ -n "${HOME:-}" ]; then
  home="$HOME/.cache/odist"
fi

folder=
if [ -n "$home" ]; then
  if is_whole "$home/$name" || { mkdir -p "$home" 2>/dev/null && unpack "$home"; }; then folder="$home/$name"; fi
fi
if [ -z "$folder" ]; then
  if ! temporary_parent; then
    say "cannot unpack: wanted a folder of this user at $parent: set XDG_CACHE_HOME to a writable folder"
    exit 1
  fi
  if ! is_whole "$parent/$name"; then
    say "cannot unpack into ${home:-a cache folder, because neither XDG_CACHE_HOME nor HOME is set}: using $parent"
    if ! unpack "$parent"; then
      say "cannot unpack into $parent: needs @MEBIBYTES@ MiB on a file system that may hold programs, and an undamaged $0"
      exit 1
    fi
  fi
  folder="$parent/$name"
fi

# For `odist upgrade` and `odist uninstall`.
case $0 in /*) ODIST_FILE=$0 ;; *) ODIST_FILE=$PWD/$0 ;; esac
DENO_DIR="$folder/deno-dir"
DENO_NO_UPDATE_CHECK=1
ODIST_NATIVE_DIR=${ODIST_NATIVE_DIR:-"$folder/native"}
ODIST_OWN_NATIVE_DIR=${ODIST_OWN_NATIVE_DIR:-"$folder/own-native"}
ODIST_EMBEDDED_MODEL=${ODIST_EMBEDDED_MODEL:-"$folder/models/tiny.gguf"}
ODIST_EMBEDDED_PAGE=${ODIST_EMBEDDED_PAGE:-"$folder/ui"}
export ODIST_FILE DENO_DIR DENO_NO_UPDATE_CHECK ODIST_NATIVE_DIR ODIST_OWN_NATIVE_DIR ODIST_EMBEDDED_MODEL ODIST_EMBEDDED_PAGE
if [ "${1:-}" = serve ]; then start_node "$@"; fi
exec "$folder/deno" run --quiet -A --unstable-net --unstable-no-legacy-abort --no-config --no-lock --no-prompt --cached-only "$folder/boot.js" "$@"
exit 1
