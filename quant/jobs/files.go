package jobs

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"io/fs"
	"os"
)

// hashFile is the SHA-256 of a file, in hexadecimal.
func hashFile(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// partials are the files that an unfinished output leaves beside its final name.
func partials(path string) []string { return []string{path + ".partial", path + ".partial.journal"} }

// remove deletes files and says how many bytes that freed. Files that are not there are no error.
func remove(paths ...string) (freed int64, err error) {
	for _, path := range paths {
		n := allocated(path)
		switch e := os.Remove(path); {
		case e == nil:
			freed += n
		case !errors.Is(e, fs.ErrNotExist):
			err = errors.Join(err, e)
		}
	}
	return freed, err
}
