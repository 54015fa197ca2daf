package safetensors

// DType is a tensor's number format, as a safetensors header spells it.
type DType string

// The formats that weights come in.
const (
	F64    DType = "F64"
	F32    DType = "F32"
	F16    DType = "F16"
	BF16   DType = "BF16"
	F8E4M3 DType = "F8_E4M3"
	F8E5M2 DType = "F8_E5M2"
	F8E8M0 DType = "F8_E8M0"
	I64    DType = "I64"
	I32    DType = "I32"
	I16    DType = "I16"
	I8     DType = "I8"
	U64    DType = "U64"
	U32    DType = "U32"
	U16    DType = "U16"
	U8     DType = "U8"
	Bool   DType = "BOOL"
)

// Bits is the number of bits of one value, 0 for a format that is not known. It covers every format of
// the safetensors library, also those that this program has no use for, so that their sizes can be checked.
func (d DType) Bits() int64 {
	switch d {
	case F64, I64, U64, "C64":
		return 64
	case F32, I32, U32:
		return 32
	case F16, BF16, I16, U16:
		return 16
	case F8E4M3, F8E5M2, F8E8M0, "F8_E4M3FNUZ", "F8_E5M2FNUZ", I8, U8, Bool:
		return 8
	case "F6_E2M3", "F6_E3M2":
		return 6
	case "F4":
		return 4
	}
	return 0
}

// Size is the number of bytes of one value, 0 for a format that is not known or not made of whole bytes.
func (d DType) Size() int64 {
	if d.Bits()%8 != 0 {
		return 0
	}
	return d.Bits() / 8
}
