#!/bin/sh
# Installs llama.cpp 0.5.0's own libraries for Linux x86-64 in DIR, for the interop tests, and prints DIR.
# They come from npm's @node-llama-cpp/linux-x64, one version, checked against the hash below. Does nothing when they
# are there already.
# usage: install.sh DIR
set -eu
package=@node-llama-cpp/linux-x64@3.22.1
sha256=0d953e1503d5ab4608d8ed5b739132308c81ac05ffeb760d2a7f30e08a9f90e0

[ $# -eq 1 ] || { echo "usage: $0 DIR" >&2; exit 2; }
mkdir -p "$1"
dir=$(cd "$1" && pwd)
stamp=$dir/.sha256

if [ "$(cat "$stamp" 2>/dev/null || true)" != "$sha256" ]; then
	command -v npm >/dev/null || { echo "$0: npm is needed to fetch $package" >&2; exit 1; }
	tmp=$(mktemp -d)
	trap 'rm -rf "$tmp"' EXIT
	(cd "$tmp" && npm pack --silent "$package" >/dev/null)
	echo "$sha256  $(echo "$tmp"/*.tgz)" | sha256sum -c --quiet - >&2
	tar -xzf "$tmp"/*.tgz -C "$tmp"
	cp "$tmp"/package/bins/linux-x64/*.so "$tmp"/package/LICENSE "$dir"
	echo "$sha256" >"$stamp"
fi
echo "$dir"
