package registry

import (
	"os"
	"syscall"
	"testing"
)

func TestDiskIsKeptForWhatMustBeWrittenWhenItIsFull(t *testing.T) {
	s := open(t)
	job := claimed(t, s)
	log, err := s.Log(job.ID)
	if err != nil {
		t.Fatal(err)
	}
	say(t, log, "m1")
	for path, want := range map[string]int64{s.path: reserved, log.plain: reservedLog} {
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		kept := info.Sys().(*syscall.Stat_t).Blocks * 512
		probe, err := os.Create(path + ".probe")
		if err != nil {
			t.Fatal(err)
		}
		reserve(probe, 0, 1<<20)
		if info, err := probe.Stat(); err != nil || info.Sys().(*syscall.Stat_t).Blocks == 0 {
			t.Skip("this file system can't keep disk for a file")
		}
		probe.Close()
		if kept < info.Size()+want {
			t.Errorf("%s: %d bytes kept for a file of %d, want %d more", path, kept, info.Size(), want)
		}
	}
}
