package quant

import (
	"encoding/binary"
	"fmt"
	"io"

	"github.com/nexus-quant/nexus-quant/gguf"
	"github.com/nexus-quant/nexus-quant/kernels"
	"github.com/nexus-quant/nexus-quant/quant/arch"
)

// Blocks of MXFP4 as checkpoints have them: 16 bytes of nibbles, the even weights low, and the exponents elsewhere.
const (
	packedNibbles = 16
	packedBlock   = 1 + packedNibbles // bytes of one of GGUF's blocks
)

// packedSource is the source of rows of cols MXFP4 weights, whose parts are added to it.
func packedSource(cols int64) (*source, error) {
	stride, err := gguf.MXFP4.RowSize(cols)
	if err != nil {
		return nil, err
	}
	return &source{format: "MXFP4", typ: gguf.MXFP4, direct: true, cols: cols, stride: stride,
		decode: func(dst []float32, src []byte) error { return kernels.Dequantize(gguf.MXFP4, dst, src) }}, nil
}

// newPacked is a part that has values bytes of nibbles; its view counts blocks.
func newPacked(part arch.Part, values, cols int64) (*piece, error) {
	n := values / packedNibbles
	src, exponents := part.Source, part.Exponents
	if n <= 0 || src.Size != n*packedNibbles || exponents.Size != n || part.View.Whole() && n*gguf.MXFP4.BlockLen()%cols != 0 {
		return nil, fmt.Errorf("%d bytes of blocks and %d of scales in rows of %d", src.Size, exponents.Size, cols)
	}
	return newPiece(packer{src, exponents}, packedBlock, n, cols/gguf.MXFP4.BlockLen(), part.View)
}

// packer gives the blocks of MXFP4 weights as GGUF has them: the exponent first, and weight i beside weight i+16. It is
// read by whole blocks.
type packer struct{ nibbles, exponents io.ReaderAt }

func (r packer) ReadAt(p []byte, off int64) (int, error) {
	if off%packedBlock != 0 || len(p)%packedBlock != 0 {
		return 0, fmt.Errorf("%d bytes from %d on cut a block", len(p), off)
	}
	n, first := len(p)/packedBlock, off/packedBlock
	exponents, giveBack := borrow(int64(n))
	defer giveBack()
	if err := readFull(r.exponents, exponents, first); err != nil {
		return 0, err
	}
	nibbles := p[n:] // what is written never comes up to what is still to be read
	if err := readFull(r.nibbles, nibbles, first*packedNibbles); err != nil {
		return 0, err
	}
	for i, e := range exponents {
		from := nibbles[i*packedNibbles:][:packedNibbles]
		// Bytes j of both words hold weights 2j, 2j+1 and 2j+16, 2j+17.
		low, high := binary.LittleEndian.Uint64(from), binary.LittleEndian.Uint64(from[8:])
		const lower = 0x0f0f0f0f0f0f0f0f
		even, odd := low&lower|high&lower<<4, low>>4&lower|high&^lower
		to := p[i*packedBlock:][:packedBlock]
		to[0] = e
		binary.LittleEndian.PutUint64(to[1:], apart(uint32(even))|apart(uint32(odd))<<8)
		binary.LittleEndian.PutUint64(to[9:], apart(uint32(even>>32))|apart(uint32(odd>>32))<<8)
	}
	return len(p), nil
}

// apart puts a byte of zeros behind each byte.
func apart(v uint32) uint64 {
	x := uint64(v)
	x = (x | x<<16) & 0x0000ffff0000ffff
	return (x | x<<8) & 0x00ff00ff00ff00ff
}
