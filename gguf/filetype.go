package gguf

import (
	"fmt"
	"strconv"
	"strings"
)

// FileType is the number under general.file_type: the recipe by which a file's tensors got their types (llama_ftype).
type FileType uint32

// The file types of llama.cpp 0.5.0 (enum llama_ftype in llama.h). Missing numbers were withdrawn.
const (
	FileF32      FileType = 0
	FileF16      FileType = 1
	FileQ4_0     FileType = 2
	FileQ4_1     FileType = 3
	FileQ8_0     FileType = 7
	FileQ5_0     FileType = 8
	FileQ5_1     FileType = 9
	FileQ2K      FileType = 10
	FileQ3KS     FileType = 11
	FileQ3KM     FileType = 12
	FileQ3KL     FileType = 13
	FileQ4KS     FileType = 14
	FileQ4KM     FileType = 15
	FileQ5KS     FileType = 16
	FileQ5KM     FileType = 17
	FileQ6K      FileType = 18
	FileIQ2XXS   FileType = 19
	FileIQ2XS    FileType = 20
	FileQ2KS     FileType = 21
	FileIQ3XS    FileType = 22
	FileIQ3XXS   FileType = 23
	FileIQ1S     FileType = 24
	FileIQ4NL    FileType = 25
	FileIQ3S     FileType = 26
	FileIQ3M     FileType = 27
	FileIQ2S     FileType = 28
	FileIQ2M     FileType = 29
	FileIQ4XS    FileType = 30
	FileIQ1M     FileType = 31
	FileBF16     FileType = 32
	FileTQ1_0    FileType = 36
	FileTQ2_0    FileType = 37
	FileMXFP4MoE FileType = 38
	FileNVFP4    FileType = 39
	FileQ1_0     FileType = 40
	FileQ2_0     FileType = 41
)

// fileTypes is the one place where a file type gets its name, as llama-quantize spells it. In each family
// the usual one comes first: it is the one that a name without more is taken to mean.
var fileTypes = []struct {
	typ  FileType
	name string
}{
	{FileF32, "F32"},
	{FileF16, "F16"},
	{FileBF16, "BF16"},
	{FileQ8_0, "Q8_0"},
	{FileQ6K, "Q6_K"},
	{FileQ5KM, "Q5_K_M"},
	{FileQ5KS, "Q5_K_S"},
	{FileQ5_0, "Q5_0"},
	{FileQ5_1, "Q5_1"},
	{FileQ4KM, "Q4_K_M"},
	{FileQ4KS, "Q4_K_S"},
	{FileQ4_0, "Q4_0"},
	{FileQ4_1, "Q4_1"},
	{FileIQ4NL, "IQ4_NL"},
	{FileIQ4XS, "IQ4_XS"},
	{FileMXFP4MoE, "MXFP4_MOE"},
	{FileNVFP4, "NVFP4"},
	{FileQ3KM, "Q3_K_M"},
	{FileQ3KL, "Q3_K_L"},
	{FileQ3KS, "Q3_K_S"},
	{FileIQ3M, "IQ3_M"},
	{FileIQ3S, "IQ3_S"},
	{FileIQ3XS, "IQ3_XS"},
	{FileIQ3XXS, "IQ3_XXS"},
	{FileQ2K, "Q2_K"},
	{FileQ2KS, "Q2_K_S"},
	{FileIQ2M, "IQ2_M"},
	{FileIQ2S, "IQ2_S"},
	{FileIQ2XS, "IQ2_XS"},
	{FileIQ2XXS, "IQ2_XXS"},
	{FileQ2_0, "Q2_0"},
	{FileTQ2_0, "TQ2_0"},
	{FileTQ1_0, "TQ1_0"},
	{FileIQ1M, "IQ1_M"},
	{FileIQ1S, "IQ1_S"},
	{FileQ1_0, "Q1_0"},
}

// fileTypeAliases are the short names that llama-quantize takes for its usual mixes.
var fileTypeAliases = []struct {
	name string
	typ  FileType
}{
	{"Q3_K", FileQ3KM},
	{"Q4_K", FileQ4KM},
	{"Q5_K", FileQ5KM},
}

// FileTypes returns all file types, by bits from most to fewest; of a family the usual one first.
func FileTypes() []FileType {
	list := make([]FileType, len(fileTypes))
	for i, f := range fileTypes {
		list[i] = f.typ
	}
	return list
}

// String gives llama-quantize's spelling ("Q4_K_M"), or "filetype(99)" for a number that has no meaning.
func (t FileType) String() string {
	for _, f := range fileTypes {
		if f.typ == t {
			return f.name
		}
	}
	return fmt.Sprintf("filetype(%d)", uint32(t))
}

// ParseFileType finds a file type by its name in any case, by an alias (Q4_K is Q4_K_M), or by its number
// as llama-quantize takes it ("15"). The error is an [*UnknownNameError].
func ParseFileType(name string) (FileType, error) {
	for _, f := range fileTypes {
		if strings.EqualFold(f.name, name) {
			return f.typ, nil
		}
	}
	for _, a := range fileTypeAliases {
		if strings.EqualFold(a.name, name) {
			return a.typ, nil
		}
	}
	if n, err := strconv.ParseUint(name, 10, 32); err == nil {
		for _, f := range fileTypes {
			if f.typ == FileType(n) {
				return f.typ, nil
			}
		}
	}
	names := make([]string, len(fileTypes))
	for i, f := range fileTypes {
		names[i] = f.name
	}
	return 0, &UnknownNameError{Kind: "file type", Name: name, Suggestion: Nearest(name, names)}
}
