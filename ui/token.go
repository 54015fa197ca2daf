package ui

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
)

// TokenError is returned when the file of the token can't be used.
type TokenError struct {
	Path string
	Err  error
	hint string
}

func (e *TokenError) Error() string { return fmt.Sprintf("token file %s: %v", e.Path, e.Err) }

// Unwrap returns the cause.
func (e *TokenError) Unwrap() error { return e.Err }

// Hint says what to do.
func (e *TokenError) Hint() string { return e.hint }

const (
	minToken = 20   // characters
	maxToken = 4096 // bytes of the file
)

// Token reads the token from a file, and makes one where there is none, readable by its user alone. A file that others
// can read holds no secret and is refused.
func Token(path string) (string, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return newToken(path)
	}
	if err != nil {
		return "", &TokenError{Path: path, Err: err}
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return "", &TokenError{Path: path, Err: err}
	}
	if !info.Mode().IsRegular() {
		return "", &TokenError{Path: path, Err: errors.New("is no file")}
	}
	if runtime.GOOS != "windows" && info.Mode().Perm()&0o077 != 0 {
		return "", &TokenError{path, fmt.Errorf("others may read it, mode is %#o", info.Mode().Perm()), "chmod 600 " + path + ", and think about a new token"}
	}
	b, err := io.ReadAll(io.LimitReader(f, maxToken))
	if err != nil {
		return "", &TokenError{Path: path, Err: err}
	}
	token := strings.TrimSpace(string(b))
	if len(token) < minToken || strings.ContainsFunc(token, func(r rune) bool { return r <= ' ' || r > '~' || r == ';' || r == ',' || r == '"' || r == '\\' }) {
		return "", &TokenError{path, fmt.Errorf("want one word of at least %d printable ASCII characters", minToken), "delete the file, and the server makes a good one"}
	}
	return token, nil
}

func newToken(path string) (string, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return "", &TokenError{Path: path, Err: err}
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".token-*") // made with mode 0600
	if err != nil {
		return "", &TokenError{Path: path, Err: err}
	}
	defer os.Remove(f.Name())
	token := rand.Text() // 26 characters, 128 bits
	_, err = f.WriteString(token + "\n")
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return "", &TokenError{Path: path, Err: err}
	}
	switch err = os.Link(f.Name(), path); { // whole at once, and never over another one
	case errors.Is(err, fs.ErrExist): // another server was faster
		return Token(path)
	case err != nil: // a file system without links
		if err = os.Rename(f.Name(), path); err != nil {
			return "", &TokenError{Path: path, Err: err}
		}
	}
	return token, nil
}
