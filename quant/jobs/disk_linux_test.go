package jobs

import (
	"syscall"
	"testing"
)

// A job that meets a full disk waits for room: it says how much is missing, and goes on when there is enough.
func TestJobOnAFullDiskCanBeResumed(t *testing.T) {
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=1m"); err != nil {
		t.Skipf("can't mount a small file system here: %v", err)
	}
	t.Cleanup(func() { syscall.Unmount(dir, 0) })
	s := newService(t, nil)
	_, err := s.Quantize(t.Context(), &Request{Model: tinyLlama(t), Types: []string{"Q4_K_M"}, Dir: dir}, Silent{})
	if ClassOf(err) != NoResources {
		t.Fatalf("got %v, want too little disk", err)
	}
	list, err := s.Jobs(JobFilter{})
	if err != nil || len(list.Jobs) != 1 {
		t.Fatalf("%+v %v", list, err)
	}
	job := list.Jobs[0]
	if job.Status != "failed" || !job.Resumable || job.MissingBytes < 3<<20 || job.Hint == nil {
		t.Errorf("%+v", job)
	}
	if err := syscall.Mount("", dir, "", syscall.MS_REMOUNT, "size=64m"); err != nil {
		t.Fatal(err)
	}
	if _, err := s.ResumeHere(t.Context(), job.ID, Silent{}); err != nil {
		t.Fatal(err)
	}
	if job, err = s.Job(job.ID); err != nil || job.Status != "completed" || job.MissingBytes != 0 {
		t.Errorf("%+v %v", job, err)
	}
}
