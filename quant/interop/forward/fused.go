package forward

// fusedQKV splits queries, keys and values that come out of one matrix: first all queries, then all keys, then all values.
func fusedQKV(f fn, heads, kv, dim int) (q, k, v fn) {
	return part(f, 0, heads*dim), part(f, heads*dim, kv*dim), part(f, (heads+kv)*dim, kv*dim)
}

// groupedQKV splits what stands group by group: the queries that share a key, the key, the value.
func groupedQKV(f fn, heads, kv, dim int) (q, k, v fn) {
	n := heads / kv
	take := func(at, count int) fn {
		return func(x vec) vec {
			y := f(x)
			var out vec
			for g := range kv {
				from := (g*(n+2) + at) * dim
				out = append(out, y[from:from+count*dim]...)
			}
			return out
		}
	}
	return take(0, n), take(n, 1), take(n+1, 1)
}
