// Package registry keeps what outlives a process: the jobs, their logs, the models they made and what people think of
// them.
//
// One folder is shared by every process of a user, without a daemon and without a lock that is held: each method opens
// registry.db, does one transaction and closes it again. So a command, a terminal screen and a server see each other's
// changes at once, and none of them can shut the others out. Logs are files beside it, one per job, that any process can
// append to and follow.
//
// The package knows nothing of models or quantization. It holds the rules that must hold whoever calls: who owns a job,
// which state follows which, that progress never falls, that what was written survives a power cut.
package registry

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// The kinds of errors. Each is found with errors.Is in an [*Error].
var (
	// ErrNotFound is returned when no job, model or rating has that name.
	ErrNotFound = errors.New("not found")
	// ErrAmbiguous is returned when several jobs or models fit a prefix; [Error.Candidates] lists them.
	ErrAmbiguous = errors.New("ambiguous")
	// ErrExists is returned when a job with that ID is there already.
	ErrExists = errors.New("exists already")
	// ErrOwned is returned when a living process works on the job; [Error.Owner] says which.
	ErrOwned = errors.New("owned by another process")
	// ErrLost is returned when the caller no longer owns the job: it was cancelled, swept or taken over.
	ErrLost = errors.New("no longer owned")
	// ErrActive is returned when a job can't be deleted or started anew because somebody works on it.
	ErrActive = errors.New("job is running")
	// ErrEnded is returned when something is asked of a job that has ended.
	ErrEnded = errors.New("job has ended")
	// ErrState is returned when a job can't go from the state it is in to the one asked for.
	ErrState = errors.New("no such way between states")
	// ErrNone is returned by ClaimNext when there is nothing to do, or enough is being done.
	ErrNone = errors.New("no job to start")
	// ErrInvalid is returned when a record breaks a rule of its fields.
	ErrInvalid = errors.New("invalid record")
	// ErrBusy is returned when the store stayed locked by another process for longer than anything here takes.
	ErrBusy = errors.New("store is busy")
	// ErrCorrupt is returned when the database can't be read.
	ErrCorrupt = errors.New("store is damaged")
	// ErrNewer is returned when a newer version of the program wrote the store.
	ErrNewer = errors.New("store is of a newer version")
)

// Error is a refusal or a failure of the store.
type Error struct {
	Kind       error    // one of the package's Err values
	Message    string   // subject first: `job "1f0c": ...`
	Cause      error    // may be nil
	Candidates []string // of ErrAmbiguous: what the reference fits, sorted
	Owner      *Owner   // of ErrOwned, ErrActive and ErrLost: who works on the job, nil where nobody does

	hint string
}

func (e *Error) Error() string {
	if e.Cause != nil {
		return e.Message + ": " + e.Cause.Error()
	}
	return e.Message
}

// Is reports whether target is the error's kind.
func (e *Error) Is(target error) bool { return target == e.Kind }

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Cause }

// Hint says what to do about it, "" where there is nothing to say.
func (e *Error) Hint() string { return e.hint }

func errorf(kind error, format string, args ...any) *Error {
	return &Error{Kind: kind, Message: fmt.Sprintf(format, args...)}
}

// Store is the registry in one folder. It holds no file open and may be used from many goroutines.
type Store struct {
	dir  string
	path string           // of the database
	wait time.Duration    // how long a transaction waits for the other processes
	now  func() time.Time // replaced by tests

	mu     sync.Mutex // one transaction at a time; other processes are kept out by the file's lock
	kept   int64      // size of the database when disk was last reserved for it
	broken *breakage  // set when the database was found damaged
}

// Open opens the registry in dir, which holds registry.db and logs/, and creates what is missing, readable by its user
// alone. It brings an older schema up to date.
//
// Errors: ErrNewer when a newer version of the program wrote it, ErrCorrupt when it can't be read, ErrBusy when another
// process kept it locked.
func Open(dir string) (*Store, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("registry folder: %w", err)
	}
	s := &Store{
		dir:  dir,
		path: filepath.Join(dir, "registry.db"),
		wait: 10 * time.Second,
		now:  time.Now,
	}
	for _, d := range []string{dir, s.logs()} {
		if err := os.MkdirAll(d, 0o700); err != nil {
			return nil, fmt.Errorf("registry folder: %w", err)
		}
		// The folder may be older than this program: requests and logs name private models and paths.
		if err := os.Chmod(d, 0o700); err != nil {
			return nil, fmt.Errorf("registry folder: %w", err)
		}
	}
	if err := s.view(func(*tx) error { return nil }); err != nil {
		return nil, err
	}
	return s, nil
}

// Dir returns the folder of the registry.
func (s *Store) Dir() string { return s.dir }

func (s *Store) logs() string { return filepath.Join(s.dir, "logs") }

// utc returns the time as records hold it: UTC, no monotonic part.
func (s *Store) utc() time.Time { return s.now().UTC().Round(0) }
