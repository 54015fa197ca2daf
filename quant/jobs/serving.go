package jobs

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// ServingError is returned when another server works on the same registry.
type ServingError struct{ Addr string }

func (e *ServingError) Error() string {
	return fmt.Sprintf("another nexus-quant serve works on this registry, at %s", e.Addr)
}

// Hint says what to do.
func (e *ServingError) Hint() string {
	return "use that one, or give this one a registry of its own with NEXUS_QUANT_HOME"
}

// IsServed tells whether an error of Serving says that another process serves the registry.
func IsServed(err error) bool { return isA[*ServingError](err) }

// servingFile is locked by the server of a registry, and says where it listens.
func (s *Service) servingFile() string { return filepath.Join(s.settings.Home, "serve.lock") }

// Serving marks this process as the registry's server, which detached jobs are left to, until release is called.
func (s *Service) Serving(addr string) (release func(), err error) {
	if _, err := s.registry(); err != nil { // makes the folder
		return nil, err
	}
	f, err := os.OpenFile(s.servingFile(), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	if err := lockFile(f); err != nil {
		other, _ := os.ReadFile(s.servingFile())
		f.Close()
		return nil, &ServingError{strings.TrimSpace(string(other))}
	}
	if err = f.Truncate(0); err == nil {
		_, err = f.WriteAt([]byte(addr+"\n"), 0)
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return func() { f.Close() }, nil
}

// Served tells whether some process serves this registry.
func (s *Service) Served() bool {
	f, err := os.OpenFile(s.servingFile(), os.O_RDWR, 0)
	if err != nil {
		return !errors.Is(err, os.ErrNotExist) && !errors.Is(err, os.ErrPermission)
	}
	defer f.Close()
	return lockFile(f) != nil
}
