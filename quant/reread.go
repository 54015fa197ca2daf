package quant

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"

	"github.com/nexus-quant/nexus-quant/gguf"
	"github.com/nexus-quant/nexus-quant/kernels"
)

// Reread reads a GGUF file from its first byte to its last: the header must parse and every scale must be finite.
// It returns the file's SHA-256 in hexadecimal. report is told how far it is; it may be nil.
func Reread(ctx context.Context, path string, report func(done, total int64)) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return "", err
	}
	file, err := gguf.Read(f, info.Size())
	if err != nil {
		return "", fmt.Errorf("%s: %w", path, err)
	}
	h := sha256.New()
	pos := int64(0)
	buf := make([]byte, 1<<20)
	read := func(n int64, check func([]byte) error) error {
		for n > 0 {
			if err := ctx.Err(); err != nil {
				return err
			}
			b := buf[:min(n, int64(len(buf)))]
			if _, err := io.ReadFull(f, b); err != nil {
				return fmt.Errorf("%s: at byte %d: %w", path, pos, err)
			}
			h.Write(b)
			if err := check(b); err != nil {
				return err
			}
			pos, n = pos+int64(len(b)), n-int64(len(b))
			if report != nil {
				report(pos, info.Size())
			}
		}
		return nil
	}
	pass := func([]byte) error { return nil }
	for _, t := range file.Tensors {
		if err := read(file.DataOffset+t.Offset-pos, pass); err != nil {
			return "", err
		}
		check := pass
		if kernels.CanDequantize(t.Type) {
			// whole blocks at a time
			buf = buf[:cap(buf)/int(t.Type.BlockSize())*int(t.Type.BlockSize())]
			check = func(b []byte) error {
				if err := kernels.Validate(t.Type, b); err != nil {
					return fmt.Errorf("%s: tensor %q: %w", path, t.Name, err)
				}
				return nil
			}
		}
		if err := read(t.Size, check); err != nil {
			return "", err
		}
		buf = buf[:cap(buf)]
	}
	if err := read(info.Size()-pos, pass); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}
