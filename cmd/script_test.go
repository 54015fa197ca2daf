package cmd

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// mainEnv makes the test binary behave as nexus-quant, so that tests can run it as a process of its own.
const mainEnv = "NEXUS_QUANT_TEST_MAIN"

func TestMain(m *testing.M) {
	if os.Getenv(mainEnv) != "" {
		os.Exit(Main())
	}
	testscript.Main(cleaner{m}, map[string]func(){"nexus-quant": func() { os.Exit(Main()) }})
}

// cleaner removes what the tests share when they are over.
type cleaner struct{ *testing.M }

func (c cleaner) Run() int {
	defer os.RemoveAll(home())
	return c.M.Run()
}

// tinyLlama is the trained model that the repository ships.
func tinyLlama(t testing.TB) string {
	dir, err := filepath.Abs(filepath.Join("..", "testdata", "nexus-tiny-llama"))
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// TestScripts runs the command line as its users do; each file in testdata/script is one topic.
func TestScripts(t *testing.T) {
	t.Parallel()
	testscript.Run(t, testscript.Params{
		Dir: filepath.Join("testdata", "script"),
		Setup: func(e *testscript.Env) error {
			e.Setenv("MODEL", tinyLlama(t))
			e.Setenv("HF_HOME", filepath.Join(e.WorkDir, ".hf"))
			e.Setenv("HF_HUB_OFFLINE", "1") // no test touches the network
			e.Setenv("NEXUS_QUANT_HOME", filepath.Join(e.WorkDir, ".nexus-quant"))
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			// code N COMMAND... runs a command that must end with exit code N
			"code": func(ts *testscript.TestScript, neg bool, args []string) {
				want, err := strconv.Atoi(args[0])
				if err != nil || neg || len(args) < 2 {
					ts.Fatalf("usage: code N COMMAND [ARG ...]")
				}
				got := 0
				if err := ts.Exec(args[1], args[2:]...); err != nil {
					var exit *exec.ExitError
					if !errors.As(err, &exit) {
						ts.Fatalf("%v", err)
					}
					got = exit.ExitCode()
				}
				if got != want {
					ts.Fatalf("exit code %d, want %d", got, want)
				}
			},
			// patch FILE OFFSET HEX overwrites bytes of a file
			"patch": func(ts *testscript.TestScript, neg bool, args []string) {
				f, err := os.OpenFile(ts.MkAbs(args[0]), os.O_RDWR, 0)
				ts.Check(err)
				defer f.Close()
				at, err := strconv.ParseInt(args[1], 0, 64)
				ts.Check(err)
				var b []byte
				for i := 0; i+1 < len(args[2]); i += 2 {
					v, err := strconv.ParseUint(args[2][i:i+2], 16, 8)
					ts.Check(err)
					b = append(b, byte(v))
				}
				_, err = f.WriteAt(b, at)
				ts.Check(err)
			},
			// truncate FILE SIZE
			"truncate": func(ts *testscript.TestScript, neg bool, args []string) {
				n, err := strconv.ParseInt(args[1], 0, 64)
				ts.Check(err)
				ts.Check(os.Truncate(ts.MkAbs(args[0]), n))
			},
			// copydir FROM TO copies the files of a folder
			"copydir": func(ts *testscript.TestScript, neg bool, args []string) {
				ts.Check(os.CopyFS(ts.MkAbs(args[1]), os.DirFS(args[0])))
			},
			// until TEXT COMMAND... runs a command again and again until it prints TEXT, for 20 seconds at most
			"until": func(ts *testscript.TestScript, neg bool, args []string) {
				for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
					ts.Exec(args[1], args[2:]...)
					if strings.Contains(ts.ReadFile("stdout")+ts.ReadFile("stderr"), args[0]) {
						return
					}
				}
				ts.Fatalf("never printed %q", args[0])
			},
			// empty DIR: the folder holds nothing, or is not there
			"empty": func(ts *testscript.TestScript, neg bool, args []string) {
				entries, err := os.ReadDir(ts.MkAbs(args[0]))
				if err == nil && len(entries) > 0 {
					ts.Fatalf("%s holds %v", args[0], entries)
				}
			},
		},
	})
}

// home is the registry that all processes of this test binary share; they can, that is what it is for.
var home = sync.OnceValue(func() string {
	dir, err := os.MkdirTemp("", "nexus-quant-test-*")
	if err != nil {
		panic(err)
	}
	return dir
})

// process runs nexus-quant as a process of its own.
func process(args ...string) *exec.Cmd {
	c := exec.Command(os.Args[0], args...)
	c.Env = append(os.Environ(), mainEnv+"=1", "HF_HUB_OFFLINE=1", "NEXUS_QUANT_HOME="+home())
	return c
}

// output runs nexus-quant and returns what it printed.
func output(t *testing.T, args ...string) (stdout, stderr string) {
	t.Helper()
	c := process(args...)
	var out, errs bytes.Buffer
	c.Stdout, c.Stderr = &out, &errs
	if err := c.Run(); err != nil {
		t.Fatalf("nexus-quant %s: %v\n%s", strings.Join(args, " "), err, errs.String())
	}
	return out.String(), errs.String()
}
