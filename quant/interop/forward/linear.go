package forward

// matrix has its rows one after the other.
type matrix struct {
	rows, columns int
	data          vec
}

func (a *matrix) row(i int) vec { return a.data[i*a.columns : (i+1)*a.columns] }

func (a *matrix) times(x vec) vec {
	if len(x) != a.columns {
		fail("a matrix of %d columns meets a vector of %d", a.columns, len(x))
	}
	out := make(vec, a.rows)
	for i := range out {
		out[i] = dot(a.row(i), x)
	}
	return out
}

func (a *matrix) transposed() *matrix {
	t := &matrix{a.columns, a.rows, make(vec, len(a.data))}
	for i := range a.rows {
		for j, v := range a.row(i) {
			t.data[j*t.columns+i] = v
		}
	}
	return t
}

// cut is n rows from the row at on.
func (a *matrix) cut(at, n int) *matrix {
	return &matrix{n, a.columns, a.data[at*a.columns : (at+n)*a.columns]}
}

func dot(a, b vec) float64 {
	sum := 0.0
	for i, v := range a {
		sum += v * b[i]
	}
	return sum
}

func sum(a, b vec) vec {
	out := make(vec, len(a))
	for i, v := range a {
		out[i] = v + b[i]
	}
	return out
}

func product(a, b vec) vec {
	out := make(vec, len(a))
	for i, v := range a {
		out[i] = v * b[i]
	}
	return out
}

func scaled(a vec, by float64) vec { return mapped(a, func(v float64) float64 { return v * by }) }

func mapped(a vec, f func(float64) float64) vec {
	out := make(vec, len(a))
	for i, v := range a {
		out[i] = f(v)
	}
	return out
}

// linear is a matrix and, where the checkpoint has one, a bias.
func (m *model) linear(name string) fn {
	return m.biased(m.weights.matrix(name+".weight"), name)
}

// kept is a matrix that may stay in BF16.
func (m *model) kept(name string) fn {
	f := m.linear(name)
	if !m.deviations.KeptBF16 {
		return f
	}
	return func(x vec) vec { return f(mapped(x, bfloat)) }
}

// conv1D is GPT-2's matrix, whose columns go first.
func (m *model) conv1D(name string) fn {
	return m.biased(m.weights.matrix(name+".weight").transposed(), name)
}

func (m *model) biased(a *matrix, name string) fn {
	if !m.weights.has(name + ".bias") {
		return a.times
	}
	bias := m.weights.vector(name + ".bias")
	return func(x vec) vec { return sum(a.times(x), bias) }
}

// part is n values of what f gives, from at on.
func part(f fn, at, n int) fn { return func(x vec) vec { return f(x)[at : at+n] } }

// each does f at every position.
func each(f fn) mixer {
	return func(x []vec) []vec {
		out := make([]vec, len(x))
		for i := range x {
			out[i] = f(x[i])
		}
		return out
	}
}

// then does one after the other; nil counts as nothing to do.
func then(fs ...fn) fn {
	return func(x vec) vec {
		for _, f := range fs {
			if f != nil {
				x = f(x)
			}
		}
		return x
	}
}

func times(by float64) fn { return func(x vec) vec { return scaled(x, by) } }
