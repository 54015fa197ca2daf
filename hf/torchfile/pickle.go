package torchfile

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
)

// machine interprets a pickle (Python's Lib/pickle.py and pickletools.py describe the instructions). It builds plain
// values only: what Python would call a function for is done here, for the functions that calls knows.
type machine struct {
	in    stream
	stack []any
	marks []int // heights of the stack
	memo  map[uint32]any

	// storage makes the storage that a persistent id speaks of; nil where a pickle must have none.
	storage func(key string, typ storageType, values int64) (*storage, error)
}

// The values beside nil, bool, int64, float64 and string.
type (
	tuple  []any
	list   struct{ items []any }
	dict   struct{ entries []entry }
	entry  struct{ key, value any }
	global string // module and name of a class or function
)

// maxDepth is how high the stack may grow. Python writes the entries of a dictionary in batches of 1000.
const maxDepth = 1 << 16

// run interprets up to the end of the pickle and returns its result.
func (m *machine) run() (any, error) {
	m.memo = map[uint32]any{}
	for {
		at := m.in.at
		op, err := m.in.next(1)
		if err != nil {
			return nil, err
		}
		code := op[0]
		if code == '.' {
			v, err := m.pop()
			if err == nil && len(m.stack) > 0 {
				err = errors.New("ends with values left over")
			}
			return v, err
		}
		if err := m.step(code); err != nil {
			return nil, fmt.Errorf("at byte %d: %w", at, err)
		}
		if len(m.stack) > maxDepth {
			return nil, fmt.Errorf("at byte %d: more than %d values at once", at, maxDepth)
		}
	}
}

func (m *machine) step(code byte) error {
	switch code {
	case 0x80: // PROTO
		version, err := m.number(1)
		if err == nil && version > 5 {
			err = fmt.Errorf("pickle protocol %d, known are 2 to 5", version)
		}
		return err
	case 0x95: // FRAME
		_, err := m.in.next(8)
		return err

	case 'N':
		m.push(nil)
	case 0x88, 0x89: // NEWTRUE, NEWFALSE
		m.push(code == 0x88)
	case 'K', 'M': // BININT1, BININT2
		n, err := m.number(map[byte]int64{'K': 1, 'M': 2}[code])
		m.push(int64(n))
		return err
	case 'J': // BININT
		n, err := m.number(4)
		m.push(int64(int32(n)))
		return err
	case 0x8a: // LONG1
		return m.long()
	case 'G': // BINFLOAT
		b, err := m.in.next(8)
		if err == nil {
			m.push(math.Float64frombits(binary.BigEndian.Uint64(b)))
		}
		return err
	case 'X', 'T', 'B': // BINUNICODE, BINSTRING, BINBYTES
		return m.text(4)
	case 0x8c, 'U', 'C': // SHORT_BINUNICODE, SHORT_BINSTRING, SHORT_BINBYTES
		return m.text(1)

	case '(':
		m.marks = append(m.marks, len(m.stack))
		if len(m.marks) > maxDepth {
			return fmt.Errorf("more than %d marks at once", maxDepth)
		}
	case ')':
		m.push(tuple{})
	case 't':
		items, err := m.popMark()
		m.push(tuple(items))
		return err
	case 0x85, 0x86, 0x87: // TUPLE1, TUPLE2, TUPLE3
		items, err := m.popN(int(code-0x85) + 1)
		m.push(tuple(items))
		return err
	case ']':
		m.push(&list{})
	case 'a', 'e': // APPEND, APPENDS
		items, err := m.items(code == 'e', 1)
		if err != nil {
			return err
		}
		l, ok := m.top().(*list)
		if !ok {
			return fmt.Errorf("appends to %s", kindOf(m.top()))
		}
		l.items = append(l.items, items...)
	case '}':
		m.push(&dict{})
	case 's', 'u': // SETITEM, SETITEMS
		items, err := m.items(code == 'u', 2)
		if err != nil {
			return err
		}
		d, ok := m.top().(*dict)
		if !ok || len(items)%2 != 0 {
			return fmt.Errorf("puts %d keys and values into %s", len(items), kindOf(m.top()))
		}
		for i := 0; i < len(items); i += 2 {
			d.entries = append(d.entries, entry{items[i], items[i+1]})
		}

	case 'q', 'r': // BINPUT, LONG_BINPUT
		n, err := m.number(map[byte]int64{'q': 1, 'r': 4}[code])
		if err != nil {
			return err
		}
		return m.keep(uint32(n))
	case 0x94: // MEMOIZE
		return m.keep(uint32(len(m.memo)))
	case 'h', 'j': // BINGET, LONG_BINGET
		n, err := m.number(map[byte]int64{'h': 1, 'j': 4}[code])
		if err != nil {
			return err
		}
		v, ok := m.memo[uint32(n)]
		if !ok {
			return fmt.Errorf("takes value %d, which was not kept", n)
		}
		m.push(v)

	case 'c': // GLOBAL
		module, err := m.in.line()
		if err != nil {
			return err
		}
		name, err := m.in.line()
		if err != nil {
			return err
		}
		return m.global(module, name)
	case 0x93: // STACK_GLOBAL
		parts, err := m.popN(2)
		if err != nil {
			return err
		}
		module, ok1 := parts[0].(string)
		name, ok2 := parts[1].(string)
		if !ok1 || !ok2 {
			return fmt.Errorf("names a function with %s and %s", kindOf(parts[0]), kindOf(parts[1]))
		}
		return m.global(module, name)
	case 'R', 0x81: // REDUCE, NEWOBJ
		parts, err := m.popN(2)
		if err != nil {
			return err
		}
		v, err := call(parts[0], parts[1])
		m.push(v)
		return err
	case 'b': // BUILD
		parts, err := m.popN(2)
		if err != nil {
			return err
		}
		if _, ok := parts[0].(*dict); !ok { // the _metadata of a state_dict, which says nothing of weights
			return fmt.Errorf("sets the state of %s", kindOf(parts[0]))
		}
		m.push(parts[0])
	case 'Q': // BINPERSID
		id, err := m.pop()
		if err != nil {
			return err
		}
		s, err := m.persistent(id)
		m.push(s)
		return err
	default:
		return fmt.Errorf("instruction 0x%02x is not one that tensors need", code)
	}
	return nil
}

func (m *machine) push(v any) { m.stack = append(m.stack, v) }

func (m *machine) top() any {
	if len(m.stack) == 0 {
		return nil
	}
	return m.stack[len(m.stack)-1]
}

func (m *machine) pop() (any, error) {
	list, err := m.popN(1)
	if err != nil {
		return nil, err
	}
	return list[0], nil
}

// popN takes n values that stand above the last mark.
func (m *machine) popN(n int) ([]any, error) {
	floor := 0
	if k := len(m.marks); k > 0 {
		floor = m.marks[k-1]
	}
	if len(m.stack)-floor < n {
		return nil, errors.New("takes a value where there is none")
	}
	return m.cut(len(m.stack) - n), nil
}

// popMark takes the last mark and all that stands above it.
func (m *machine) popMark() ([]any, error) {
	k := len(m.marks) - 1
	if k < 0 {
		return nil, errors.New("goes back to a mark where there is none")
	}
	at := m.marks[k]
	m.marks = m.marks[:k]
	return m.cut(at), nil
}

func (m *machine) cut(at int) []any {
	items := append([]any(nil), m.stack[at:]...)
	m.stack = m.stack[:at]
	return items
}

// items takes n values, or all above the mark.
func (m *machine) items(all bool, n int) ([]any, error) {
	if all {
		return m.popMark()
	}
	return m.popN(n)
}

func (m *machine) keep(n uint32) error {
	if len(m.stack) == 0 {
		return errors.New("keeps a value where there is none")
	}
	m.memo[n] = m.top()
	return nil
}

// number reads n bytes, the lowest first.
func (m *machine) number(n int64) (uint64, error) {
	b, err := m.in.next(n)
	x := uint64(0)
	for i := len(b) - 1; i >= 0; i-- {
		x = x<<8 | uint64(b[i])
	}
	return x, err
}

// long reads a number of any length in two's complement, of which 64 bits are enough here.
func (m *machine) long() error {
	n, err := m.number(1)
	if err != nil {
		return err
	}
	if n > 8 {
		return fmt.Errorf("a number of %d bytes", n)
	}
	x, err := m.number(int64(n))
	if shift := 64 - 8*n; n > 0 {
		x = uint64(int64(x<<shift) >> shift)
	}
	m.push(int64(x))
	return err
}

// text reads a string behind its length in so many bytes.
func (m *machine) text(length int64) error {
	n, err := m.number(length)
	if err != nil {
		return err
	}
	b, err := m.in.next(int64(n))
	m.push(string(b))
	return err
}

// kindOf says what a value is, for messages.
func kindOf(v any) string {
	switch v := v.(type) {
	case nil:
		return "nothing"
	case bool, int64, float64:
		return fmt.Sprintf("the value %v", v)
	case string:
		return fmt.Sprintf("the text %.40q", v)
	case tuple:
		return fmt.Sprintf("a tuple of %d", len(v))
	case *list:
		return "a list"
	case *dict:
		return "a dictionary"
	case global:
		return string(v)
	case *storage:
		return "a storage"
	case *tensor:
		return "a tensor"
	}
	return fmt.Sprintf("a %T", v)
}
