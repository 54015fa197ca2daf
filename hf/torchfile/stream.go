package torchfile

import (
	"errors"
	"fmt"
	"io"
)

// stream reads the bytes of r from at up to end, one after the other.
type stream struct {
	r       io.ReaderAt
	at, end int64

	buf   []byte // holds what follows byte start
	start int64
}

// chunk is what is read at once.
const chunk = 64 << 10

var errEnds = errors.New("ends early")

// limited is the stream from here on, for one pickle.
func (s *stream) limited() stream {
	return stream{r: s.r, at: s.at, end: min(s.end, s.at+maxPickle)}
}

// next returns the next n bytes, which are valid until the next call.
func (s *stream) next(n int64) ([]byte, error) {
	if n < 0 || n > s.end-s.at {
		return nil, fmt.Errorf("%w: wants %d bytes at byte %d of %d", errEnds, n, s.at, s.end)
	}
	if have := s.start + int64(len(s.buf)) - s.at; have < n {
		length := min(max(n, chunk), s.end-s.at)
		if int64(cap(s.buf)) < length {
			s.buf = make([]byte, length)
		}
		s.buf, s.start = s.buf[:length], s.at
		if err := readFull(s.r, s.buf, s.at); err != nil {
			return nil, err
		}
	}
	p := s.buf[s.at-s.start:][:n]
	s.at += n
	return p, nil
}

// line returns what stands before the next line break.
func (s *stream) line() (string, error) {
	var text []byte
	for {
		b, err := s.next(1)
		if err != nil {
			return "", err
		}
		if b[0] == '\n' {
			return string(text), nil
		}
		if text = append(text, b[0]); len(text) > 256 {
			return "", errors.New("a name is longer than 256 bytes")
		}
	}
}
