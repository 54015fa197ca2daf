package kerneltest

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math"
)

// Golden returns the cases that the committed vectors hold for a type of the given block length: every kind of rows
// without weights and with three kinds of weights.
func Golden(blockLen int) []Case {
	cols := 3 * blockLen
	if blockLen == 1 {
		cols = 96
	}
	rows := max(1, 768/cols)
	var cases []Case
	for i, v := range Values {
		cases = append(cases, New(v, Weights[0], rows, cols))
		for j := range 3 {
			cases = append(cases, New(v, Weights[1+(i+3*j)%(len(Weights)-1)], rows, cols))
		}
	}
	return cases
}

// GoldenLine is the line of the committed vectors for one case: the type, the kinds, the shape, hashes of the blocks and
// of the values they stand for, and without weights the first block in full. Blocks that are not valid count as zeros:
// the sign of a NaN scale is the CPU's own.
func GoldenLine(typ string, blockSize int64, c Case, blocks []byte, values []float32, valid func(block []byte) bool) string {
	blocks = bytes.Clone(blocks)
	for i := 0; i < len(blocks); i += int(blockSize) {
		if b := blocks[i : i+int(blockSize)]; !valid(b) {
			clear(b)
		}
	}
	raw := make([]byte, 4*len(values))
	for i, f := range values {
		b := math.Float32bits(f)
		if f != f {
			b = 0x7fc00000 // the sign and payload of NaN are the CPU's own
		}
		binary.LittleEndian.PutUint32(raw[4*i:], b)
	}
	first := "-"
	if c.Importance == nil {
		first = fmt.Sprintf("%x", blocks[:blockSize])
	}
	return fmt.Sprintf("%s | %s | %s | %dx%d | %s | %s | %s", typ, c.Values, c.Weights, len(c.Src)/c.Cols, c.Cols,
		digest(blocks), digest(raw), first)
}

// digest is enough of a hash to tell results apart.
func digest(b []byte) string {
	sum := sha256.Sum256(b)
	return fmt.Sprintf("%x", sum[:8])
}
