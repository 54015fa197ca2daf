# To be sourced in the repository's root: puts Node 20 or newer first in PATH, the one that install.sh fetched where the
# system has none.
node_cache="${XDG_CACHE_HOME:-$HOME/.cache}/nexus-quant-dev/node"
new_enough() { command -v node >/dev/null && [ "$(node -p 'process.versions.node.split(".")[0]')" -ge 20 ]; }
if ! new_enough && [ -x "$node_cache/node_modules/node/bin/node" ]; then
	PATH="$node_cache/node_modules/node/bin:$PATH"
	export PATH
fi
