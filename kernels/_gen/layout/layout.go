// Package layout names where the kernels find the fields of the structs that Go hands them, in bytes. A row of x, w, or
// levels holds a value of each of the 16 lanes: 64 bytes, 32 for each set of 8.
package layout

// The fields of affineLanes.
const (
	AffineX      = 0
	AffineW      = 2048
	AffineLevel  = 4096
	AffineScale  = 6144
	AffineLow    = 6208
	AffineBestIS = 6272
	AffineBestLo = 6336
	AffineHi     = 6400
	AffineFirst  = 6464
	AffineSumW   = 6528
	AffineSumX   = 6592
	AffineBest   = 6656
	AffineBad    = 6720
	AffineIS     = 6784
	AffineSize   = 6848 // of the whole
)

// The fields of symmetricLanes.
const (
	SymX     = 0
	SymW     = 2048
	SymWX    = 4096
	SymScale = 6144
	SymWon   = 6208
)

// The fields of refineLanes.
const (
	RefX     = 0
	RefW     = 1024
	RefWX    = 2048
	RefLevel = 3072
	RefScale = 4096
)

// The fields of superLanes, whose rows are of 8 lanes.
const (
	SupX     = 0
	SupW     = 512
	SupLevel = 1024
	SupScale = 1536
)

// The fields of differenceLanes, 16 doubles each.
const (
	DiffDD  = 0
	DiffXD  = 128
	DiffXX  = 256
	DiffMax = 384
)
