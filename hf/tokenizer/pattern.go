package tokenizer

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode"
)

// A pattern is a regular expression of a tokenizer.json, in the dialect of Oniguruma's Ruby syntax as far as
// tokenizers use it. Go's regexp has no lookahead, and takes the longest of alternatives' matches elsewhere.
type pattern struct{ match matcher }

// matcher tries to match text at pos and calls then with where the match ends, until that agrees.
type matcher func(in *subject, pos int, then func(end int) bool) bool

// subject is a text to search, and how much work is still allowed: nested repetitions may take for ever.
type subject struct {
	text  []rune
	start int // where the search began (\G)
	fuel  *int
}

// tired takes one step of those that are left, and tells whether there are none.
func (in *subject) tired() bool { *in.fuel--; return *in.fuel < 0 }

// maxPattern bounds an expression. The longest in use have 500 characters, and lists of letters 2000.
const maxPattern = 8192

// find returns where the first match at or behind pos begins and ends.
func (p *pattern) find(in *subject, pos int) (from, to int, ok bool) {
	for in.start = pos; pos <= len(in.text); pos++ {
		if p.match(in, pos, func(end int) bool { to = end; return true }) {
			return pos, to, true
		}
	}
	return 0, 0, false
}

// patternParser reads an expression.
type patternParser struct {
	rest  []rune
	depth int
	fold  bool // within (?i:
}

// maxNesting bounds the groups within groups.
const maxNesting = 64

func parsePattern(s string) (*pattern, error) {
	p := patternParser{rest: []rune(s)}
	if len(p.rest) > maxPattern {
		return nil, fmt.Errorf("an expression of %d characters, want %d at most", len(p.rest), maxPattern)
	}
	m, err := p.alternatives()
	if err == nil && len(p.rest) > 0 {
		err = fmt.Errorf("%q is left over", string(p.rest))
	}
	if err != nil {
		return nil, fmt.Errorf("expression %q: %w", s, err)
	}
	return &pattern{m}, nil
}

func (p *patternParser) accept(s string) bool {
	if !strings.HasPrefix(string(p.rest[:min(len(p.rest), len(s))]), s) {
		return false
	}
	p.rest = p.rest[len(s):]
	return true
}

func (p *patternParser) alternatives() (matcher, error) {
	if p.depth++; p.depth > maxNesting {
		return nil, fmt.Errorf("more than %d groups in each other", maxNesting)
	}
	defer func() { p.depth-- }()
	var all []matcher
	for {
		m, err := p.sequence()
		if err != nil {
			return nil, err
		}
		if all = append(all, m); !p.accept("|") {
			break
		}
	}
	if len(all) == 1 {
		return all[0], nil
	}
	return func(in *subject, pos int, then func(int) bool) bool {
		for _, m := range all {
			if in.tired() {
				return false
			}
			if m(in, pos, then) {
				return true
			}
		}
		return false
	}, nil
}

func (p *patternParser) sequence() (matcher, error) {
	m := matcher(func(_ *subject, pos int, then func(int) bool) bool { return then(pos) })
	for len(p.rest) > 0 && p.rest[0] != '|' && p.rest[0] != ')' {
		next, err := p.repeated()
		if err != nil {
			return nil, err
		}
		before := m
		m = func(in *subject, pos int, then func(int) bool) bool {
			return before(in, pos, func(mid int) bool { return next(in, mid, then) })
		}
	}
	return m, nil
}

// repeated reads an atom and what says how often. A + behind {n,m} repeats once more: only ?, * and + can be possessive.
func (p *patternParser) repeated() (matcher, error) {
	m, err := p.atom()
	for err == nil && len(p.rest) > 0 {
		low, high, interval := 0, -1, false
		switch {
		case p.accept("*"):
		case p.accept("+"):
			low = 1
		case p.accept("?"):
			high = 1
		case p.rest[0] == '{':
			if low, high, err = p.interval(); err != nil {
				return nil, err
			}
			interval = true
		default:
			return m, nil
		}
		lazy := p.accept("?")
		m = repeat(m, low, high, lazy)
		if !interval && !lazy && p.accept("+") {
			m = atomic(m)
		}
	}
	return m, err
}

func (p *patternParser) interval() (low, high int, err error) {
	end := slices.Index(p.rest, '}')
	if end < 0 {
		return 0, 0, fmt.Errorf("{ without }")
	}
	from, to, ranged := strings.Cut(string(p.rest[1:end]), ",")
	p.rest = p.rest[end+1:]
	if low, err = strconv.Atoi(from); err != nil && from != "" {
		return 0, 0, err
	}
	switch high = low; {
	case ranged && to == "":
		high = -1
	case ranged:
		if high, err = strconv.Atoi(to); err != nil {
			return 0, 0, err
		}
	}
	const maxTimes = 1 << 10
	if low < 0 || low > maxTimes || high > maxTimes || high >= 0 && high < low {
		return 0, 0, fmt.Errorf("{%s,%s}", from, to)
	}
	return low, high, nil
}

// repeat matches m from low to high times, -1 for any number; as often as possible first, but if lazy.
func repeat(m matcher, low, high int, lazy bool) matcher {
	var from func(in *subject, pos, done int, then func(int) bool) bool
	from = func(in *subject, pos, done int, then func(int) bool) bool {
		if in.tired() {
			return false
		}
		more := func() bool {
			if high >= 0 && done >= high {
				return false
			}
			return m(in, pos, func(end int) bool {
				if end == pos { // as often as one likes, and nothing more to gain
					return done < low && then(end)
				}
				return from(in, end, done+1, then)
			})
		}
		switch {
		case done < low:
			return more()
		case lazy:
			return then(pos) || more()
		}
		return more() || then(pos)
	}
	return func(in *subject, pos int, then func(int) bool) bool { return from(in, pos, 0, then) }
}

// atomic takes the first match of m or none.
func atomic(m matcher) matcher {
	return func(in *subject, pos int, then func(int) bool) bool {
		end := 0
		return m(in, pos, func(e int) bool { end = e; return true }) && then(end)
	}
}

// ahead looks whether m matches, or doesn't.
func ahead(m matcher, want bool) matcher {
	return func(in *subject, pos int, then func(int) bool) bool {
		return m(in, pos, func(int) bool { return true }) == want && then(pos)
	}
}

// at matches nothing, in a place that ok knows.
func at(ok func(in *subject, pos int) bool) matcher {
	return func(in *subject, pos int, then func(int) bool) bool { return ok(in, pos) && then(pos) }
}

// one matches a character of a set.
func one(set runeSet) matcher {
	return func(in *subject, pos int, then func(int) bool) bool {
		return !in.tired() && pos < len(in.text) && set(in.text[pos]) && then(pos+1)
	}
}

func (p *patternParser) atom() (matcher, error) {
	switch {
	case p.accept("(?:"):
		return p.group(p.fold, nil)
	case p.accept("(?i:"):
		return p.group(true, nil)
	case p.accept("(?="):
		return p.group(p.fold, func(m matcher) matcher { return ahead(m, true) })
	case p.accept("(?!"):
		return p.group(p.fold, func(m matcher) matcher { return ahead(m, false) })
	case p.accept("(?>"):
		return p.group(p.fold, atomic)
	case p.accept("(?"):
		return nil, fmt.Errorf("a group of an unknown kind")
	case p.accept("("):
		return p.group(p.fold, nil)
	case p.accept(`\A`):
		return at(func(_ *subject, pos int) bool { return pos == 0 }), nil
	case p.accept(`\z`):
		return at(func(in *subject, pos int) bool { return pos == len(in.text) }), nil
	case p.accept(`\G`):
		return at(func(in *subject, pos int) bool { return pos == in.start }), nil
	case p.accept(`\b`):
		return at(func(in *subject, pos int) bool {
			return (pos > 0 && isWord(in.text[pos-1])) != (pos < len(in.text) && isWord(in.text[pos]))
		}), nil
	case p.accept("^"):
		return at(func(in *subject, pos int) bool { return pos == 0 || in.text[pos-1] == '\n' }), nil
	case p.accept("$"):
		return at(func(in *subject, pos int) bool { return pos == len(in.text) || in.text[pos] == '\n' }), nil
	case p.accept("."):
		return one(func(r rune) bool { return r != '\n' }), nil
	}
	set, err := p.set()
	if err != nil {
		return nil, err
	}
	if p.fold {
		set = folded(set)
	}
	return one(set), nil
}

func (p *patternParser) group(fold bool, wrap func(matcher) matcher) (matcher, error) {
	outside := p.fold
	p.fold = fold
	m, err := p.alternatives()
	p.fold = outside
	if err != nil {
		return nil, err
	}
	if !p.accept(")") {
		return nil, fmt.Errorf("( without )")
	}
	if wrap != nil {
		m = wrap(m)
	}
	return m, nil
}

// runeSet tells whether a character is in a set.
type runeSet func(r rune) bool

func folded(set runeSet) runeSet {
	return func(r rune) bool {
		for f := unicode.SimpleFold(r); f != r; f = unicode.SimpleFold(f) {
			if set(f) {
				return true
			}
		}
		return set(r)
	}
}

func inverted(set runeSet) runeSet { return func(r rune) bool { return !set(r) } }

func isWord(r rune) bool { return unicode.In(r, unicode.L, unicode.M, unicode.Nd, unicode.Pc) }

// set reads one character, an escape or a class.
func (p *patternParser) set() (runeSet, error) {
	switch {
	case len(p.rest) == 0:
		return nil, fmt.Errorf("it ends too early")
	case p.accept("[^"):
		set, err := p.class()
		return inverted(set), err
	case p.accept("["):
		return p.class()
	}
	low, set, err := p.escape()
	if set != nil || err != nil {
		return set, err
	}
	return func(r rune) bool { return r == low }, nil
}

// class reads what stands between brackets: characters, ranges, escapes and classes, and sets that && makes smaller.
func (p *patternParser) class() (runeSet, error) {
	if p.depth++; p.depth > maxNesting {
		return nil, fmt.Errorf("more than %d classes in each other", maxNesting)
	}
	defer func() { p.depth-- }()
	any := func(sets []runeSet) runeSet {
		return func(r rune) bool {
			for _, s := range sets {
				if s(r) {
					return true
				}
			}
			return false
		}
	}
	var sets []runeSet
	for {
		switch {
		case len(p.rest) == 0:
			return nil, fmt.Errorf("[ without ]")
		case p.accept("]"):
			return any(sets), nil
		case p.accept("&&"):
			right, err := p.class()
			left := any(sets)
			return func(r rune) bool { return left(r) && right(r) }, err
		case p.rest[0] == '[':
			set, err := p.set()
			if err != nil {
				return nil, err
			}
			sets = append(sets, set)
			continue
		}
		low, set, err := p.escape()
		if err != nil {
			return nil, err
		}
		if set == nil {
			high := low
			if len(p.rest) > 1 && p.rest[0] == '-' && p.rest[1] != ']' {
				p.rest = p.rest[1:]
				var wide runeSet
				if high, wide, err = p.escape(); err != nil || wide != nil || high < low {
					return nil, fmt.Errorf("a range that ends nowhere")
				}
			}
			set = func(r rune) bool { return low <= r && r <= high }
		}
		sets = append(sets, set)
	}
}

// escape reads a character, or the set that an escape stands for.
func (p *patternParser) escape() (rune, runeSet, error) {
	r := p.rest[0]
	p.rest = p.rest[1:]
	if r != '\\' {
		return r, nil, nil
	}
	if len(p.rest) == 0 {
		return 0, nil, fmt.Errorf(`\ at its end`)
	}
	r, p.rest = p.rest[0], p.rest[1:]
	switch r {
	case 'r':
		return '\r', nil, nil
	case 'n':
		return '\n', nil, nil
	case 't':
		return '\t', nil, nil
	case 's':
		return 0, unicode.IsSpace, nil
	case 'S':
		return 0, inverted(unicode.IsSpace), nil
	case 'd':
		return 0, unicode.IsDigit, nil
	case 'D':
		return 0, inverted(unicode.IsDigit), nil
	case 'w':
		return 0, isWord, nil
	case 'W':
		return 0, inverted(isWord), nil
	case 'u':
		if len(p.rest) < 4 {
			return 0, nil, fmt.Errorf(`\u without four digits`)
		}
		n, err := strconv.ParseUint(string(p.rest[:4]), 16, 16)
		p.rest = p.rest[4:]
		return rune(n), nil, err
	case 'p', 'P':
		set, err := p.property()
		if r == 'P' {
			set = inverted(set)
		}
		return 0, set, err
	}
	if unicode.IsLetter(r) || unicode.IsDigit(r) {
		return 0, nil, fmt.Errorf(`\%c means nothing here`, r)
	}
	return r, nil, nil
}

// property reads the name of a Unicode category or script behind \p.
func (p *patternParser) property() (runeSet, error) {
	end := slices.Index(p.rest, '}')
	if !p.accept("{") || end < 0 {
		return nil, fmt.Errorf(`\p without a name`)
	}
	name := string(p.rest[:end-1])
	p.rest = p.rest[end:]
	not := strings.HasPrefix(name, "^")
	name = strings.TrimPrefix(name, "^")
	table := unicode.Categories[name]
	if table == nil {
		table = unicode.Scripts[name]
	}
	if table == nil {
		return nil, fmt.Errorf(`\p{%s} is no category and no script`, name)
	}
	return func(r rune) bool { return unicode.Is(table, r) != not }, nil
}
