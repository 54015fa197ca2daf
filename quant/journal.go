package quant

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"os"
	"slices"
)

// journalSuffix marks the file beside a partial output that says which of its tensors are safely on the disk.
const journalSuffix = ".journal"

// A journal is lines of JSON, each followed by a tab and the CRC-32C of the JSON in hexadecimal. The first line is the
// journalHead, every other one a tensorRecord. A line is written only after the tensor's bytes were synced, so what a
// journal says is true after a power cut too; a torn last line is cut off.

// journalHead says what the output is made of. A run goes on where another one stopped only if all of it is the same.
type journalHead struct {
	Version int          `json:"nexus_quant_journal"`
	Plan    string       `json:"plan"` // SHA-256 of the output's header (names, types, shapes, metadata) and of the importance weights
	Source  []SourceFile `json:"source"`
}

const journalVersion = 1

// SourceFile identifies a file that weights are read from.
type SourceFile struct {
	Name    string `json:"name"`
	Bytes   int64  `json:"bytes"`
	Version string `json:"version"` // the hash under which the Hub's cache keeps it, else the time of its last change
	Path    string `json:"-"`       // where it is now
}

// same tells whether two files are the same, wherever they are.
func (f SourceFile) same(g SourceFile) bool {
	return f.Name == g.Name && f.Bytes == g.Bytes && f.Version == g.Version
}

// tensorRecord is a tensor of an output that is on the disk.
type tensorRecord struct {
	Tensor   int       `json:"tensor"`
	Rows     int64     `json:"rows"` // of a slab
	Sums     []uint32  `json:"crc"`  // CRC-32C of each slab
	Fidelity *Fidelity `json:"fidelity,omitempty"`
}

// ChangedError is returned when work can't be gone on with because something it was made of is no longer the same.
type ChangedError struct {
	Path string
	What string
}

func (e *ChangedError) Error() string { return fmt.Sprintf("%s: %s", e.Path, e.What) }

// Hint says what to do.
func (e *ChangedError) Hint() string {
	return "start again from the beginning: what is there does not fit any more"
}

// journal is open for appending while its output is written.
type journal struct {
	f *os.File
}

// headOf describes output i of the plan.
func headOf(p *Plan, i int) journalHead {
	h := sha256.New()
	h.Write(p.Outputs[i].Layout.Header())
	for _, t := range p.tensors(i) {
		for _, w := range t.weights {
			fmt.Fprintf(h, "%x ", w)
		}
	}
	return journalHead{journalVersion, hex.EncodeToString(h.Sum(nil)), p.Model.Files}
}

// differs says in words what keeps b from going on where a stopped, or "".
func (a journalHead) differs(b journalHead) string {
	switch {
	case a.Version != b.Version:
		return fmt.Sprintf("was begun by another version of the program (journal %d, this is %d)", a.Version, b.Version)
	case a.Plan != b.Plan:
		return "was begun with other types or options"
	case slices.EqualFunc(a.Source, b.Source, SourceFile.same):
		return ""
	}
	for i, s := range a.Source {
		if i >= len(b.Source) || s.Name != b.Source[i].Name {
			break
		}
		if t := b.Source[i]; !s.same(t) {
			return fmt.Sprintf("source %s changed since: %d bytes (%s) then, %d bytes (%s) now", s.Name, s.Bytes, s.Version, t.Bytes, t.Version)
		}
	}
	return "was begun from other source files"
}

// readJournal returns what a journal says, up to its last whole line. The error is fs.ErrNotExist where there is none.
func readJournal(r io.Reader, tensors int) (head journalHead, records []tensorRecord, size int64, err error) {
	in := bufio.NewReaderSize(r, 1<<16)
	first := true
	for {
		line, err := in.ReadSlice('\n')
		if errors.Is(err, bufio.ErrBufferFull) {
			// a big tensor has many slabs
			var rest []byte
			line = bytes.Clone(line)
			rest, err = in.ReadBytes('\n')
			line = append(line, rest...)
		}
		if err != nil && err != io.EOF {
			return head, nil, 0, err
		}
		text, ok := checkedLine(line)
		if !ok {
			break // the end, or a line that was being written when the power went
		}
		if first {
			first = false
			if json.Unmarshal(text, &head) != nil || head.Version == 0 {
				return head, nil, 0, fs.ErrNotExist
			}
		} else {
			var r tensorRecord
			if json.Unmarshal(text, &r) != nil || r.Tensor < 0 || r.Tensor >= tensors || r.Rows <= 0 {
				break
			}
			records = append(records, r)
		}
		size += int64(len(line))
	}
	if first {
		return head, nil, 0, fs.ErrNotExist
	}
	return head, records, size, nil
}

// checkedLine returns the JSON of a whole line with the right checksum.
func checkedLine(line []byte) ([]byte, bool) {
	line, whole := bytes.CutSuffix(line, []byte("\n"))
	i := bytes.LastIndexByte(line, '\t')
	if !whole || i < 0 {
		return nil, false
	}
	return line[:i], fmt.Sprintf("%08x", crc32.Checksum(line[:i], castagnoli)) == string(line[i+1:])
}

func appendLine(b []byte, v any) ([]byte, error) {
	text, err := json.Marshal(v)
	if err != nil {
		return b, err
	}
	b = append(b, text...)
	return fmt.Appendf(b, "\t%08x\n", crc32.Checksum(text, castagnoli)), nil
}

// openJournal opens the journal at path for an output of the given head. It returns the records of an earlier run of the
// same head; of any other journal it returns what differs, and leaves it.
func openJournal(path string, head journalHead, tensors int) (j *journal, records []tensorRecord, differs string, err error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, nil, "", err
	}
	old, records, size, err := readJournal(f, tensors)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		j = &journal{f}
		return j, nil, "", j.start(head)
	case err != nil:
		f.Close()
		return nil, nil, "", err
	}
	if differs = old.differs(head); differs != "" {
		return &journal{f}, nil, differs, nil
	}
	if err = f.Truncate(size); err == nil {
		_, err = f.Seek(size, io.SeekStart)
	}
	if err != nil {
		f.Close()
		return nil, nil, "", err
	}
	return &journal{f}, records, "", nil
}

// start makes the journal a new one.
func (j *journal) start(head journalHead) error {
	if err := j.f.Truncate(0); err != nil {
		return err
	}
	if _, err := j.f.Seek(0, io.SeekStart); err != nil {
		return err
	}
	line, err := appendLine(nil, head)
	if err != nil {
		return err
	}
	if _, err := j.f.Write(line); err != nil {
		return err
	}
	return j.f.Sync()
}

// add records tensors whose bytes are synced.
func (j *journal) add(records []tensorRecord) error {
	var b []byte
	for _, r := range records {
		var err error
		if b, err = appendLine(b, r); err != nil {
			return err
		}
	}
	if _, err := j.f.Write(b); err != nil {
		return err
	}
	return j.f.Sync()
}
