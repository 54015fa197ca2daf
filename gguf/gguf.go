// Package gguf reads and writes GGUF model files: the table of tensor and file types, metadata, the
// layout of a file before its weights are known, single files and split ones.
//
// A file is: magic and version; two counts; key/value pairs; one description per tensor; padding; and the
// data section, in which tensors follow each other in the order of their descriptions, each padded to
// the file's alignment. All numbers are little-endian. The rules are those of ggml's gguf.cpp in
// llama.cpp 0.5.0: what it refuses, [Read] refuses, and [Layout] gives the bytes that it writes.
package gguf

const (
	magic = "GGUF"

	// Version is the format's version that [Layout] writes.
	Version = 3

	// DefaultAlignment is the padding of tensors in a file without general.alignment (GGUF_DEFAULT_ALIGNMENT).
	DefaultAlignment = 32

	// MaxNameLen is the longest tensor name in bytes: ggml keeps it with a final NUL in GGML_MAX_NAME bytes.
	MaxNameLen = 63

	// MaxDims is the highest number of dimensions of a tensor (GGML_MAX_DIMS).
	MaxDims = 4

	keyAlignment = "general.alignment"

	// maxLen bounds the bytes of one string and the values of one array, as ggml does
	// (GGUF_MAX_STRING_LENGTH, GGUF_MAX_ARRAY_ELEMENTS).
	maxLen = 1 << 30

	// maxAlignment is far above any alignment in use; padding to it stays cheap.
	maxAlignment = 1 << 20

	// maxDepth bounds arrays within arrays. ggml knows none at all; the specification sets no limit.
	maxDepth = 8
)

// TensorInfo describes one tensor of a file.
type TensorInfo struct {
	Name   string
	Shape  []int64 // columns first, as ggml's ne
	Type   Type
	Offset int64 // of the first byte, from the start of the data section
	Size   int64 // bytes, without padding

	Ones bool // trailing dimensions of 1 are written, as llama.cpp's converter does and llama-quantize does not
}

// pad rounds n up to a multiple of align, a power of two. n is at most MaxInt64-align.
func pad(n, align int64) int64 { return (n + align - 1) &^ (align - 1) }
