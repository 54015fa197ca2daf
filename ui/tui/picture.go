package tui

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/charmbracelet/lipgloss"
	"github.com/charmbracelet/x/ansi"
	"github.com/muesli/termenv"

	"github.com/nexus-quant/nexus-quant/quant/jobs"
)

// point is a type in the picture of size against quality.
type point struct {
	name        string
	bytes       int64
	deviation   float64 // expected
	bits        float64 // per weight
	picked      bool
	cursor      bool
	recommended bool
}

// leastDeviation is the best that the picture shows: what loses nothing stands there too.
const leastDeviation = 0.002

// points are the types of which size and deviation are known. Full precision would press all others together.
func (w *Wizard) points() []point {
	var list []point
	for i := range w.Types {
		if c := &w.Types[i]; c.Bytes > 0 && c.Deviation != nil && c.Bits <= 17 {
			list = append(list, point{c.Value, c.Bytes, *c.Deviation, c.PerWeight, c.Picked, i == w.Cursor, c.Recommended})
		}
	}
	return list
}

// frontier are the points that are the best for their size, smallest first.
func frontier(points []point) []point {
	best := slices.Clone(points)
	best = slices.DeleteFunc(best, func(p point) bool {
		return slices.ContainsFunc(points, func(q point) bool { return q.bytes <= p.bytes && q.deviation < p.deviation })
	})
	slices.SortStableFunc(best, func(a, b point) int { return cmp.Compare(a.bytes, b.bytes) })
	return best
}

// scale maps the logarithm of a figure to places.
type scale struct {
	from, to float64
	places   int
}

func (s scale) at(log float64) int {
	return int(math.Round((log - s.from) / (s.to - s.from) * float64(s.places-1)))
}

// canvas is a picture of characters, each with a style and a rank: what is more important is not drawn over.
type canvas struct {
	width, height int
	text          []string
	style         []lipgloss.Style
	rank          []int
}

func newCanvas(width, height int) *canvas {
	n := width * height
	return &canvas{width, height, make([]string, n), make([]lipgloss.Style, n), make([]int, n)}
}

// put draws a text that starts at a place, unless something more important stands in its way.
func (c *canvas) put(x, y int, text string, style lipgloss.Style, rank int) bool {
	signs := []rune(text)
	if y < 0 || y >= c.height || x < 0 || x+len(signs) > c.width {
		return false
	}
	for i := range signs {
		if c.rank[y*c.width+x+i] >= rank {
			return false
		}
	}
	for i, r := range signs {
		k := y*c.width + x + i
		c.text[k], c.style[k], c.rank[k] = string(r), style, rank
	}
	return true
}

// beside tells whether a text of n signs would stand right beside a point that is another than its own, or another name.
func (c *canvas) beside(x, y, n, ownX, ownY int) bool {
	if y < 0 || y >= c.height {
		return false
	}
	for _, at := range []int{x - 2, x - 1, x + n, x + n + 1} {
		if at >= 0 && at < c.width && c.rank[y*c.width+at] >= rankName && (at != ownX || y != ownY) {
			return true
		}
	}
	return false
}

func (c *canvas) line(y int) string {
	var b strings.Builder
	for x := range c.width {
		if k := y*c.width + x; c.text[k] == "" {
			b.WriteByte(' ')
		} else {
			b.WriteString(c.style[k].Render(c.text[k]))
		}
	}
	return b.String()
}

// The ranks of what the picture holds. Points stand above all, the one of the cursor first.
const (
	rankGrid = 1 + iota
	rankFrontier
	rankBudget
	rankName
	rankPoint
)

// picture draws size against quality: a sign for each type, the line through the best ones, and where the memory ends.
// It is nil where there is nothing to draw or no room.
func (t *theme) picture(points []point, budget int64, width, height int) []string {
	const label = 7
	if len(points) == 0 || width-label < 24 || height-2 < 4 {
		return nil
	}
	c := newCanvas(width-label, height-2)
	x := scale{math.Inf(1), math.Inf(-1), c.width}
	y := scale{math.Inf(1), math.Inf(-1), c.height}
	for _, p := range points {
		b, d := math.Log2(float64(p.bytes)), math.Log10(max(leastDeviation, p.deviation))
		x.from, x.to, y.from, y.to = min(x.from, b), max(x.to, b), min(y.from, d), max(y.to, d)
	}
	x.from, x.to, y.from, y.to = x.from-0.12, x.to+0.12, y.from-0.02, y.to+0.05
	place := func(p point) (int, int) {
		return x.at(math.Log2(float64(p.bytes))), y.at(math.Log10(max(leastDeviation, p.deviation)))
	}

	// the names of the rows, and a faint line through each
	rows := make([]string, c.height)
	for _, d := range []float64{leastDeviation, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5} {
		row := y.at(math.Log10(d))
		if row < 0 || row >= c.height || rows[row] != "" {
			continue
		}
		rows[row] = fmt.Sprintf("%.3g %%", d*100)
		if d == leastDeviation {
			rows[row] = "none"
		}
		for i := 1; i < c.width; i += 4 {
			c.put(i, row, "·", t.muted, rankGrid)
		}
	}
	best := frontier(points)
	for i := 1; i < len(best); i++ {
		x0, y0 := place(best[i-1])
		x1, y1 := place(best[i])
		t.stroke(c, x0, y0, x1, y1)
	}
	if log := math.Log2(float64(budget)); budget > 0 && log > x.from && log < x.to {
		for row := range c.height {
			c.put(x.at(log), row, "│", t.warn, rankBudget)
		}
		c.put(x.at(log)+2, c.height-1, "too big", t.warn, rankBudget)
	}

	ranked := slices.Clone(points)
	weight := func(p point) int {
		switch {
		case p.cursor:
			return 3
		case p.picked:
			return 2
		case p.recommended:
			return 1
		}
		return 0
	}
	slices.SortStableFunc(ranked, func(a, b point) int { return cmp.Compare(weight(b), weight(a)) })
	for _, p := range ranked { // the points first: no name hides one
		sign := "○"
		if p.picked {
			sign = "●"
		}
		style := t.render.NewStyle()
		if t.profile == termenv.TrueColor { // of sixteen colours, some can't be seen as a ring on some backgrounds
			style = style.Foreground(t.ramp(p.bits))
		}
		if p.cursor {
			style = style.Bold(true)
		}
		px, py := place(p)
		c.put(px, py, sign, style, rankPoint)
	}
	for _, p := range ranked {
		px, py := place(p)
		style := t.muted
		if weight(p) > 0 {
			style = t.title
		}
		name, n := p.name, len(p.name)
		if p.cursor {
			name, n = "▸"+name, n+1
		}
		places := [][2]int{{px + 2, py}, {px - n - 1, py}}
		if c.height >= 18 { // where rows are few, a name above or below is taken for another point's
			places = append(places, [][2]int{{px + 2, py - 1}, {px - n - 1, py - 1}, {px - n/2, py - 1}, {px + 2, py + 1}, {px - n - 1, py + 1}, {px - n/2, py + 1}}...)
		}
		for _, at := range places {
			if !c.beside(at[0], at[1], n, px, py) && c.put(at[0], at[1], name, style, rankName) {
				break
			}
		}
	}

	var lines []string
	for row := range c.height {
		edge := "│"
		if rows[row] != "" {
			edge = "┤"
		}
		lines = append(lines, t.muted.Render(padLeft(rows[row], label-2)+" "+edge)+c.line(row))
	}
	axis, under := t.sizes(x)
	return append(lines, t.muted.Render(strings.Repeat(" ", label-1)+"└"+axis), t.muted.Render(strings.Repeat(" ", label)+under))
}

// stroke draws a part of the line through the best points, leaving out its ends.
func (t *theme) stroke(c *canvas, x0, y0, x1, y1 int) {
	steps := max(x1-x0, y0-y1, y1-y0)
	for i := 1; i < steps; i++ {
		f := float64(i) / float64(steps)
		c.put(x0+int(math.Round(f*float64(x1-x0))), y0+int(math.Round(f*float64(y1-y0))), "∙", t.render.NewStyle(), rankFrontier)
	}
}

// sizes are the axis of sizes and its names.
func (t *theme) sizes(x scale) (axis, names string) {
	marks := []rune(strings.Repeat("─", x.places))
	const title = "size →"
	last := -2
	for power := math.Floor(x.from * math.Log10(2)); power <= x.to*math.Log10(2); power++ {
		for _, n := range []float64{1, 1.5, 2, 3, 4, 5, 7} {
			size := n * math.Pow(10, power)
			at, name := x.at(math.Log2(size)), jobs.Size(int64(size))
			from := at - len(name)/2
			if log := math.Log2(size); log < x.from || log > x.to || from < last+2 || from < 0 || from+len(name) > x.places-len(title)-1 {
				continue
			}
			marks[at] = '┴'
			names += strings.Repeat(" ", from-ansi.StringWidth(names)) + name
			last = from + len(name)
		}
	}
	return string(marks), names + strings.Repeat(" ", max(1, x.places-len(names)-ansi.StringWidth(title))) + title
}

// pictureView is the step of types as a picture, nil where nothing can be drawn.
func (m *model) pictureView(width, room int) []string {
	t, w := &m.theme, &m.wizard
	lines := []string{m.memoryLine(width)}
	if w.Editing == &w.Imatrix {
		lines[0] = m.imatrixLine(width)
	}
	if w.SizeErr != nil {
		lines = append(lines, m.errorLines(w.SizeErr, width)...)
	}
	lines = append(lines, t.muted.Render("Up is closer to the source (expected), left is smaller. ● picked  ○ not"))
	if w.Cursor < len(w.Types) {
		lines = append(lines, m.pointLine(&w.Types[w.Cursor]))
	}
	budget, _ := w.Budget()
	chart := t.picture(w.points(), budget, width, room-len(lines))
	switch {
	case chart != nil:
		return append(lines, chart...)
	case w.Sizing():
		return append(lines, "", t.muted.Render("The sizes are being looked up "+dots(m.now)))
	}
	return append(lines, "", t.muted.Render("There is nothing to draw, or no room for it; p shows the list."))
}

// pointLine tells of the type that the cursor is on.
func (m *model) pointLine(c *Choice) string {
	t := &m.theme
	text := t.chosen.Render("▸ " + pad(c.Value, 9))
	switch {
	case c.Err != nil:
		return text + " " + t.muted.Render(clean(reason(c.Err)))
	case c.Bytes == 0:
		return text
	}
	deviation := "not known"
	if c.Deviation != nil {
		deviation = fmt.Sprintf("%.2g %%", *c.Deviation*100)
	}
	text += fmt.Sprintf(" %9s  %5.2f bits/weight  deviation %-7s", jobs.Size(c.Bytes), c.PerWeight, deviation)
	if budget, err := m.wizard.Budget(); err == nil && budget > 0 {
		if c.Bytes <= budget {
			text += " " + t.good.Render("fits")
		} else {
			text += " " + t.warn.Render("too big")
		}
	}
	if c.Recommended {
		text += " " + t.accent.Render("recommended")
	}
	return text
}
