package hf

import (
	"cmp"
	"slices"
)

// span is the bytes from begin up to, but not with, end.
type span struct{ begin, end int64 }

// ranges are spans in order, none of which touches the next.
type ranges []span

// add puts a span in, joined with those that it touches.
func (r *ranges) add(s span) {
	from, _ := slices.BinarySearchFunc(*r, s.begin, func(have span, begin int64) int { return cmp.Compare(have.end, begin) })
	to := from
	for ; to < len(*r) && (*r)[to].begin <= s.end; to++ {
		s.begin, s.end = min(s.begin, (*r)[to].begin), max(s.end, (*r)[to].end)
	}
	*r = slices.Replace(*r, from, to, s)
}

// size is how many bytes they are together.
func (r ranges) size() (n int64) {
	for _, s := range r {
		n += s.end - s.begin
	}
	return n
}

// missing lists what of the bytes from 0 to size is not in the ranges, in pieces of at most most bytes.
func (r ranges) missing(size, most int64) []span {
	var out []span
	at := int64(0)
	for _, s := range append(slices.Clone(r), span{size, size}) {
		for at < s.begin {
			end := min(at+most, s.begin)
			out = append(out, span{at, end})
			at = end
		}
		at = s.end
	}
	return out
}
