#!/bin/sh
# Fails if the compiler put a fused multiply-add into the kernels, on any of the targets where it may: the bytes would
# then depend on the CPU. Write float32(x*y) + z where one is reported.
set -eu
cd "$(dirname "$0")"

fused() { # package, environment
	env CGO_ENABLED=0 $2 go build -gcflags=-S "$1" 2>&1 | grep -E '\b(FMADD|FMSUB|FNMADD|FNMSUB|VFMADD|VFMSUB|VFNMADD|VFNMSUB)[A-Z0-9]*\b' || true
}

bad=0
# The words of simd_arm64.s have their mnemonics as comments; a test of _gen holds one to the other.
if grep -niE '\<(vfn?m(add|sub)|fn?m(add|sub)|v?fml[as]|fml[as]l|fcmla|bfml|frecps|frsqrts)' ./*.s; then
	echo "fused multiply-add in assembly" >&2
	bad=1
fi
for target in GOARCH=arm64 "GOARCH=amd64 GOAMD64=v3"; do
	if [ -z "$(fused ./testdata/fused "$target")" ]; then
		echo "$target: the check doesn't see the multiply-add in testdata/fused" >&2
		bad=1
	fi
	found=$(fused . "$target")
	if [ -n "$found" ]; then
		echo "$target: fused multiply-add in kernels:" >&2
		echo "$found" >&2
		bad=1
	fi
done
exit $bad
