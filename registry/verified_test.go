package registry

import (
	"strings"
	"testing"
	"time"
)

func TestAVerificationIsKeptWithItsFile(t *testing.T) {
	s := open(t)
	const path = "/models/m.gguf"
	put(t, s, Model{ID: "org/m", Path: path, SHA256: "aa", RMSE: 0.5, Tensors: []TensorError{{Name: "output.weight", RMSE: 1}}})
	at := time.Date(2026, 1, 2, 3, 4, 5, 6, time.FixedZone("east", 3600))
	set := func(path, sha string, v Verified) {
		t.Helper()
		if err := s.SetVerified(path, sha, v); err != nil {
			t.Fatal(err)
		}
	}
	set("/models/a/../m.gguf", "aa", Verified{At: at, OK: true})
	m, err := s.Model(path)
	if err != nil || m.Verified == nil || !m.Verified.OK || !m.Verified.At.Equal(at) || m.Verified.At.Location() != time.UTC || m.RMSE != 0.5 || len(m.Tensors) != 1 {
		t.Fatalf("got %+v, %v", m, err)
	}
	set(path, "bb", Verified{At: at, Error: "of what was there before"})
	if m, _ := s.Model(path); !m.Verified.OK {
		t.Errorf("another file's result was kept: %+v", m.Verified)
	}
	set(path, "aa", Verified{At: at, Error: strings.Repeat("ä", maxReason)})
	if m, err := s.Model(path); err != nil || m.Verified.OK || len(m.Verified.Error) > maxReason || strings.Trim(m.Verified.Error, "ä") != "" || m.Verified.Error == "" {
		t.Errorf("got %+v, %v", m.Verified, err)
	}
	set("/models/none.gguf", "", Verified{At: at, OK: true})
	if list, _, err := s.Models(ModelFilter{}); err != nil || len(list) != 1 {
		t.Errorf("a file that is not registered came to be: %+v, %v", list, err)
	}
	put(t, s, Model{ID: "org/m", Path: path, SHA256: "aa"}) // made anew
	if m, _ := s.Model(path); m.Verified != nil {
		t.Errorf("a file that was made anew counts as verified: %+v", m.Verified)
	}
}
