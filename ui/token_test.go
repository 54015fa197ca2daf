package ui

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
)

func TestATokenIsMadeOnceAndIsTheUsersAlone(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "state", "token")
	tokens := make([]string, 8)
	var all sync.WaitGroup
	for i := range tokens {
		all.Go(func() {
			var err error
			if tokens[i], err = Token(path); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	for _, token := range tokens {
		if token != tokens[0] || len(token) < minToken {
			t.Errorf("tokens %q", tokens)
		}
	}
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if mode := info.Mode().Perm(); runtime.GOOS != "windows" && mode != 0o600 {
		t.Errorf("mode %#o", mode)
	}
}

func TestTokenFilesThatHoldNoSecret(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, tt := range []struct {
		name, text string
		mode       os.FileMode
	}{
		{"empty", "", 0o600},
		{"short", "password", 0o600},
		{"two words", "correct horse battery staple", 0o600},
		{"control characters", strings.Repeat("x", 30) + "\x00", 0o600},
		{"readable by the group", strings.Repeat("x", 30), 0o640},
		{"readable by all", strings.Repeat("x", 30), 0o604},
	} {
		if runtime.GOOS == "windows" && tt.mode != 0o600 {
			continue
		}
		path := filepath.Join(dir, tt.name)
		if err := os.WriteFile(path, []byte(tt.text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, tt.mode); err != nil {
			t.Fatal(err)
		}
		token, err := Token(path)
		var refused *TokenError
		if !errors.As(err, &refused) || token != "" || refused.Hint() == "" {
			t.Errorf("%s: %q, %v", tt.name, token, err)
		}
	}
	if _, err := Token(dir); err == nil {
		t.Error("takes a folder for a token")
	}
}
