//go:build (!amd64 && !arm64) || purego

package kernels

// accelerated returns the implementations beside the reference that this CPU can run: none.
func accelerated() []*Impl { return nil }
