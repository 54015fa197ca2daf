package jobs

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// DiskError is returned when a disk has less room than a job would fill.
type DiskError struct {
	Dir        string
	Need, Free int64 // bytes
}

func (e *DiskError) Error() string {
	return fmt.Sprintf("%s: the job needs %s, %s are free", e.Dir, Size(e.Need), Size(e.Free))
}

// Hint says what to do.
func (e *DiskError) Hint() string {
	return fmt.Sprintf("free %s, ask for fewer types, or write to another disk with -o DIR", Size(e.Need-e.Free))
}

// Size prints a number of bytes as people read disk sizes: GB is 10^9.
func Size(n int64) string {
	const unit = 1000
	if n < unit && n > -unit {
		return fmt.Sprintf("%d B", n)
	}
	x, names := float64(n)/unit, "kMGTPE"
	i := 0
	for ; (x >= unit-0.005 || x <= -unit+0.005) && i < len(names)-1; i++ {
		x /= unit
	}
	return fmt.Sprintf("%.2f %cB", x, names[i])
}

// existing is the nearest folder at or above dir that is there.
func existing(dir string) string {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return "."
	}
	for {
		if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
			return dir
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return dir
		}
		dir = parent
	}
}

// sizeUnits are the suffixes of sizes: with an i, powers of 1024; without, of 1000.
var sizeUnits = []struct {
	suffix string
	factor float64
}{
	{"kib", 1 << 10}, {"mib", 1 << 20}, {"gib", 1 << 30}, {"tib", 1 << 40},
	{"kb", 1e3}, {"mb", 1e6}, {"gb", 1e9}, {"tb", 1e12},
	{"k", 1 << 10}, {"m", 1 << 20}, {"g", 1 << 30}, {"t", 1 << 40},
	{"b", 1}, {"", 1},
}

// ParseSize reads a number of bytes: "1073741824", "512MiB", "2GB", "1.5g".
func ParseSize(s string) (int64, error) {
	text := strings.ToLower(strings.TrimSpace(s))
	for _, u := range sizeUnits {
		number, ok := strings.CutSuffix(text, u.suffix)
		if !ok {
			continue
		}
		x, err := strconv.ParseFloat(strings.TrimSpace(number), 64)
		if err != nil || !(x > 0) || x*u.factor >= math.MaxInt64 {
			break
		}
		return int64(x * u.factor), nil
	}
	return 0, fmt.Errorf("size %q: want a number of bytes such as 512MiB or 2GB", s)
}
