// Package fused is what check_fma.sh must object to.
package fused

func F(x, y, z float32) float32 { return x*y + z }
