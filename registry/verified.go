package registry

import (
	"encoding/json"
	"path/filepath"
	"time"
	"unicode/utf8"
)

// Verified is when a model's file was last read again, and what that came to.
type Verified struct {
	At    time.Time `json:"at"`
	OK    bool      `json:"ok"`
	Error string    `json:"error,omitempty"` // why it isn't
}

// maxReason is as much of an error as a record keeps, in bytes.
const maxReason = 4 << 10

// SetVerified notes what reading a file again came to. sha256 is what was registered when the reading began: nothing is
// noted of a file that was made anew or taken off the register meanwhile.
func (s *Store) SetVerified(path, sha256 string, v Verified) error {
	path = filepath.Clean(path)
	v.At = v.At.UTC().Round(0)
	if len(v.Error) > maxReason {
		v.Error = v.Error[:maxReason]
		for !utf8.ValidString(v.Error) {
			v.Error = v.Error[:len(v.Error)-1]
		}
	}
	return s.update(func(t *tx) error {
		data := t.models.Get([]byte(path))
		if data == nil {
			return nil
		}
		m, err := s.modelAt([]byte(path), data)
		if err != nil || m.SHA256 != sha256 {
			return err
		}
		m.Verified = &v
		record, err := json.Marshal(modelRecord{recordVersion, m})
		if err != nil {
			return err
		}
		return t.models.Put([]byte(path), record)
	})
}
