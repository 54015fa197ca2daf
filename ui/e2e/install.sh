#!/bin/sh
# Installs what the tests of the page need and do not find: npm and Chromium from Debian (as root), Node 20 from npm where
# the system's is older, and the packages of package-lock.json. Run it in the repository's root.
set -eu
. ui/e2e/node.sh

need=
command -v npm >/dev/null || need="$need npm"
[ -n "${CHROMIUM:-}" ] || command -v chromium >/dev/null || need="$need chromium fonts-dejavu-core"
if [ -n "$need" ]; then
	apt-get update -q
	# shellcheck disable=SC2086 # a list
	apt-get install -qy --no-install-recommends $need
fi
if ! new_enough; then
	npm install --prefix "$node_cache" --no-audit --no-fund --loglevel=error node@22
	. ui/e2e/node.sh
fi

# The lock file says what is installed: nothing is fetched again while it stays as it is.
cd ui/e2e
if ! cmp -s package-lock.json node_modules/.installed; then
	npm ci --no-audit --no-fund --loglevel=error
	cp package-lock.json node_modules/.installed
fi
