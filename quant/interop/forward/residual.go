package forward

// branch is what a layer adds to what goes through it: by times post(inner(pre(x))).
type branch struct {
	pre   fn
	inner mixer
	post  fn
	by    float64 // 0: 1
}

// residual adds its branches, which all see the same x: one of them is the usual block, two are a parallel one.
func residual(branches ...branch) mixer {
	return func(x []vec) []vec {
		out := x
		for _, b := range branches {
			y := each(then(b.post))(b.inner(each(then(b.pre))(x)))
			next := make([]vec, len(x))
			for i := range y {
				if b.by != 0 {
					y[i] = scaled(y[i], b.by)
				}
				next[i] = sum(out[i], y[i])
			}
			out = next
		}
		return out
	}
}

// normed is a residual layer with the norm behind the sum, as the first transformers have it.
func normed(inner mixer, norm fn) mixer {
	return func(x []vec) []vec { return each(norm)(residual(branch{inner: inner})(x)) }
}

// block is the usual layer: attention and then a feed-forward network, each behind a norm.
func (m *model) block(norm1 fn, attention mixer, norm2 fn, ff fn) {
	m.add(residual(branch{pre: norm1, inner: attention}), residual(branch{pre: norm2, inner: each(ff)}))
}
