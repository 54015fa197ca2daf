package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
	. "github.com/nexus-quant/nexus-quant/kernels/_gen/layout"
)

// compare is differenceLanes.add for n values, a multiple of 16, which all lanes take at a time.
func compare(name string, vector func() VecVirtual, lanes int) {
	TEXT(name, NOSPLIT, "func(lanes *byte, x, y *float32, n int)")
	p, x, y, n := ptr("lanes"), ptr("x"), ptr("y"), ptr("n")
	wide := lanes == 8
	cleared := func() VecVirtual {
		v := vector()
		if wide {
			VPXORD(v, v, v)
		} else {
			VXORPD(v, v, v)
		}
		return v
	}
	groups := 16 / lanes
	var dd, xd, xx []VecVirtual
	for range groups {
		dd, xd, xx = append(dd, cleared()), append(xd, cleared()), append(xx, cleared())
	}
	most := cleared() // of all groups: the order doesn't matter
	var abs Op = absMask64()
	if wide {
		v := vector()
		VBROADCASTSD(absMask64(), v)
		abs = v
	}
	Label("loop")
	for i := range groups {
		v, d, t := vector(), vector(), vector()
		VCVTPS2PD(Mem{Base: x, Disp: 4 * lanes * i}, v)
		VCVTPS2PD(Mem{Base: y, Disp: 4 * lanes * i}, d)
		VSUBPD(d, v, d)
		VMULPD(v, v, t)
		VADDPD(t, xx[i], xx[i])
		VMULPD(d, v, v)
		VADDPD(v, xd[i], xd[i])
		VMULPD(d, d, t)
		VADDPD(t, dd[i], dd[i])
		if wide {
			VPANDQ(abs, d, d)
		} else {
			VANDPD(abs, d, d)
		}
		VMAXPD(most, d, most) // d > most ? d : most
	}
	ADDQ(Imm(64), x)
	ADDQ(Imm(64), y)
	SUBQ(Imm(16), n)
	JNZ(LabelRef("loop"))
	for i := range groups {
		VMOVUPD(dd[i], Mem{Base: p, Disp: DiffDD + 8*lanes*i})
		VMOVUPD(xd[i], Mem{Base: p, Disp: DiffXD + 8*lanes*i})
		VMOVUPD(xx[i], Mem{Base: p, Disp: DiffXX + 8*lanes*i})
	}
	VMOVUPD(most, Mem{Base: p, Disp: DiffMax})
	VZEROUPPER()
	RET()
}

// absMask64 is four doubles without their sign.
func absMask64() Mem {
	m, ok := constants["absMask64"]
	if !ok {
		m = GLOBL("absMask64", RODATA|NOPTR)
		for i := range 4 {
			DATA(8*i, U64(1<<63-1))
		}
		constants["absMask64"] = m
	}
	return m
}
