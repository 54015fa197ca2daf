// Package interop holds the tests that compare nexus-quant with llama.cpp 0.5.0's own libraries. They carry the build
// tag interop and need the libraries that install.sh fetches: run them with `make interop`.
package interop
