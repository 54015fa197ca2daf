package main

import (
	"bytes"
	"encoding/binary"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

type word struct {
	bits uint32
	text string // what the comment says it is
}

func words(t *testing.T) (list []word) {
	t.Helper()
	var out bytes.Buffer
	if err := generate().Write(&out, header); err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(out.String()) {
		number, text, ok := strings.Cut(strings.TrimPrefix(strings.TrimSpace(line), "WORD $0x"), " // ")
		if !ok || !strings.Contains(line, "\tWORD ") {
			continue
		}
		bits, err := strconv.ParseUint(number, 16, 32)
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, word{uint32(bits), text})
	}
	if len(list) < 10000 {
		t.Fatalf("only %d words found", len(list))
	}
	return list
}

// TestWordsAreWhatTheySay gives the comment of every word to the GNU assembler.
func TestWordsAreWhatTheySay(t *testing.T) {
	const as, objcopy = "aarch64-linux-gnu-as", "aarch64-linux-gnu-objcopy"
	if _, err := exec.LookPath(as); err != nil {
		t.Fatalf("%v: install Debian's binutils-aarch64-linux-gnu", err)
	}
	list, dir := words(t), t.TempDir()
	source, object, flat := filepath.Join(dir, "w.s"), filepath.Join(dir, "w.o"), filepath.Join(dir, "w.bin")
	var text strings.Builder
	for _, w := range list {
		text.WriteString(w.text + "\n")
	}
	if err := os.WriteFile(source, []byte(text.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, command := range [][]string{{as, "-march=armv8-a", "-o", object, source}, {objcopy, "-O", "binary", "-j", ".text", object, flat}} {
		if out, err := exec.Command(command[0], command[1:]...).CombinedOutput(); err != nil {
			t.Fatalf("%v: %v\n%s", command, err, out)
		}
	}
	code, err := os.ReadFile(flat)
	if err != nil {
		t.Fatal(err)
	}
	if len(code) != 4*len(list) {
		t.Fatalf("%d bytes of code for %d words", len(code), len(list))
	}
	wrong := map[string]bool{}
	for i, w := range list {
		name, _, _ := strings.Cut(w.text, " ")
		if want := binary.LittleEndian.Uint32(code[4*i:]); w.bits != want && !wrong[name] {
			wrong[name] = true
			t.Errorf("%s: %#08x, want %#08x", w.text, w.bits, want)
		}
	}
}

// TestNothingIsFused: no instruction multiplies and adds with one rounding.
func TestNothingIsFused(t *testing.T) {
	fused := regexp.MustCompile(`^(fn?m(add|sub|la|ls)|fml[as]l|fcmla|bfml|frecps|frsqrts)`)
	for _, text := range []string{"fmla v0.4s, v1.4s, v2.4s", "fmls v0.4s, v1.4s, v2.s[1]", "fnmadd s0, s1, s2, s3", "fmsub d0, d1, d2, d3"} {
		if !fused.MatchString(text) {
			t.Errorf("%s is not seen", text)
		}
	}
	for _, w := range words(t) {
		if fused.MatchString(w.text) {
			t.Fatal(w.text)
		}
	}
}
