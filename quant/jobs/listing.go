package jobs

import (
	"cmp"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/nexus-quant/nexus-quant/gguf"
)

// FileList is what lies in the allowed folders.
type FileList struct {
	Folders []string    `json:"folders"` // that were looked through
	Files   []FileEntry `json:"files"`   // latest first
	Total   int         `json:"total"`   // that fit the search
	Partial bool        `json:"partial"` // the folders hold more than was looked at
}

// FileEntry is a GGUF file. Of a split model the first shard stands for all.
type FileEntry struct {
	Path     string    `json:"path"`
	Bytes    int64     `json:"bytes"`
	Modified time.Time `json:"modified_at"`
}

// The limits of a listing: an allowed folder may be a whole disk.
const (
	maxLooked  = 200_000 // files and folders
	lookedTime = 3 * time.Second
)

// GGUFFiles lists the GGUF files below the allowed folders whose path holds all words of the search. Hidden folders
// are left out, and links to folders are not followed.
func (s *Service) GGUFFiles(ctx context.Context, search string, limit int) (FileList, error) {
	list := FileList{Folders: []string{}, Files: []FileEntry{}}
	words := strings.Fields(strings.ToLower(search))
	deadline := time.Now().Add(lookedTime)
	looked := 0
	seen := map[string]bool{}
	for _, dir := range s.settings.folders() {
		root, err := filepath.Abs(dir)
		if err != nil {
			return list, err
		}
		list.Folders = append(list.Folders, root)
		err = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
			if looked++; looked > maxLooked || looked%1000 == 0 && time.Now().After(deadline) {
				list.Partial = true
				return fs.SkipAll
			}
			switch {
			case ctx.Err() != nil:
				return ctx.Err()
			case err != nil: // not there, or not for us: the others still are
				return nil
			case d.IsDir() && path != root && (strings.HasPrefix(d.Name(), ".") || seen[path]):
				return fs.SkipDir
			case d.IsDir():
				seen[path] = true
				return nil
			case seen[path] || !strings.EqualFold(filepath.Ext(path), ".gguf") || gguf.LaterShard(d.Name()) || !holds(path, words):
				return nil
			}
			seen[path] = true
			info, err := os.Stat(path) // of what a link points at
			if err != nil || !info.Mode().IsRegular() || !s.settings.within(path) {
				return nil
			}
			list.Files = append(list.Files, FileEntry{path, info.Size(), info.ModTime().UTC()})
			return nil
		})
		if err != nil {
			return list, err
		}
	}
	slices.SortFunc(list.Files, func(a, b FileEntry) int {
		return cmp.Or(b.Modified.Compare(a.Modified), strings.Compare(a.Path, b.Path))
	})
	list.Total = len(list.Files)
	if limit > 0 {
		list.Files = list.Files[:min(limit, len(list.Files))]
	}
	return list, nil
}

func holds(path string, words []string) bool {
	path = strings.ToLower(path)
	return !slices.ContainsFunc(words, func(w string) bool { return !strings.Contains(path, w) })
}

// InspectFile reads the header of a GGUF file below the allowed folders. Unlike the model of a job it may have any name.
func (s *Service) InspectFile(path string) (*Inspection, error) {
	if strings.TrimSpace(path) == "" {
		return nil, &UsageError{Err: errors.New("no path given"), hint: "name a .gguf file"}
	}
	abs, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	if err := s.readable(abs); err != nil {
		return nil, err
	}
	if info, err := os.Stat(abs); err == nil && info.IsDir() {
		return nil, &UsageError{Err: errors.New(path + ": is a folder"), hint: "name a .gguf file in it"}
	}
	in, err := inspectGGUF(abs)
	if err != nil {
		return nil, err
	}
	for _, f := range in.Files { // a shard may be a link to elsewhere
		if err := s.readable(f.Path); err != nil {
			return nil, err
		}
	}
	return in, nil
}

// readable refuses a path outside the allowed folders.
func (s *Service) readable(path string) error {
	if !s.settings.within(path) {
		return &ForbiddenError{Path: path, Allowed: s.settings.folders()}
	}
	return nil
}
