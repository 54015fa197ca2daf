package jobs

import (
	"os"
	"strings"
	"testing"
	"time"
)

// verified waits until a verification has ended.
func verified(t testing.TB, s *Service, id string) VerifyRun {
	t.Helper()
	deadline := time.After(time.Minute)
	for {
		run, changed, err := s.Verification(id)
		if err != nil {
			t.Fatal(err)
		}
		if run.Status != VerifyRunning {
			return run
		}
		select {
		case <-changed:
		case <-deadline:
			t.Fatalf("still %+v", run)
		}
	}
}

func TestAModelIsVerifiedInTheBackground(t *testing.T) {
	t.Parallel()
	s := newService(t, nil)
	work(t, s)
	job, err := s.Submit(t.Context(), spec(t, "Q8_0", "Q4_0", "Q5_0"))
	if err != nil {
		t.Fatal(err)
	}
	made := waitFor(t, s, job.ID)
	const id = "nexus-tiny-llama"
	if run, _, err := s.Verification(id); err != nil || run.Status != VerifyNone {
		t.Fatalf("before: %+v, %v", run, err)
	}
	if _, err := s.CancelVerification(id); ClassOf(err) != Conflict {
		t.Errorf("cancelled what was not there: %v", err)
	}
	if _, err := s.StartVerification("nothing"); ClassOf(err) != NotFound {
		t.Errorf("got %v", err)
	}
	run, err := s.StartVerification(id)
	if err != nil || run.ID != id || run.Status != VerifyRunning || len(run.Files) != 3 {
		t.Fatalf("started: %+v, %v", run, err)
	}
	if run = verified(t, s, id); !run.OK || run.Status != VerifyCompleted || run.BytesDone != run.BytesTotal || run.Ended == nil {
		t.Errorf("ended: %+v", run)
	}
	// one weight that is another, and a file that is gone
	b, err := os.ReadFile(*made.Outputs[0].Path)
	if err != nil {
		t.Fatal(err)
	}
	b[len(b)-1000] ^= 1
	if err := os.WriteFile(*made.Outputs[0].Path, b, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(*made.Outputs[1].Path); err != nil {
		t.Fatal(err)
	}
	if _, err = s.StartVerification(id); err != nil {
		t.Fatal(err)
	}
	run = verified(t, s, id)
	got := map[string]string{}
	for _, f := range run.Files {
		got[f.Type] = f.Status
		if f.Error != nil {
			got[f.Type] += " " + *f.Error
		}
	}
	if run.OK || !strings.HasPrefix(got["Q8_0"], "failed SHA-256 is ") || got["Q4_0"] != "failed the file is not there" || got["Q5_0"] != "ok" {
		t.Errorf("got %+v", got)
	}
	// the results outlive the process, and are those of the files as they were
	again := another(t, s)
	if run, _, err = again.Verification(id); err != nil || run.Status != VerifyCompleted || run.OK || run.Ended == nil || run.BytesDone != run.BytesTotal {
		t.Errorf("another process sees %+v, %v", run, err)
	}
	for _, f := range run.Files {
		text := f.Status
		if f.Error != nil {
			text += " " + *f.Error
		}
		if text != got[f.Type] || f.Ended == nil {
			t.Errorf("%s: another process sees %q at %v, want %q", f.Type, text, f.Ended, got[f.Type])
		}
	}
	if _, v, err := again.Variant(id + ":Q5_0"); err != nil || v.Verified == nil || !v.Verified.OK || v.Verified.Error != nil {
		t.Errorf("the variant: %+v, %v", v.Verified, err)
	}
	// what another process finds later counts, and a file that is made anew was not verified
	if _, err := again.Quantize(t.Context(), &Request{Model: tinyLlama(t), Types: []string{"Q8_0"}, Dir: s.settings.OutputDir, Force: true}, Silent{}); err != nil {
		t.Fatal(err)
	}
	if run, _, err = s.Verification(id); err != nil || run.OK || run.Status != VerifyCompleted || run.BytesDone >= run.BytesTotal {
		t.Errorf("with a file that is new: %+v, %v", run, err)
	}
	if list, err := again.Verify(t.Context(), id+":Q8_0", nil); err != nil || len(list) != 1 || !list[0].OK {
		t.Fatalf("%+v, %v", list, err)
	}
	run, _, err = s.Verification(id)
	for _, f := range run.Files {
		if f.Type == "Q8_0" && (f.Status != "ok" || f.Ended == nil) {
			t.Errorf("what another process verified is shown as %+v, %v", f, err)
		}
	}
}

// another is a service of the same registry, as a second process has.
func another(t testing.TB, s *Service) *Service {
	t.Helper()
	return newService(t, map[string]string{"NEXUS_QUANT_HOME": s.settings.Home, "QUANTIZATION_OUTPUT_DIR": s.settings.OutputDir})
}

func TestAVerificationThatWaitsCanBeCancelled(t *testing.T) {
	t.Parallel()
	s := newService(t, nil)
	work(t, s)
	job, err := s.Submit(t.Context(), spec(t, "Q8_0"))
	if err != nil {
		t.Fatal(err)
	}
	waitFor(t, s, job.ID)
	const id = "nexus-tiny-llama"
	s.verifying.disks.Lock() // as if another one were reading
	if _, err := s.StartVerification(id); err != nil {
		t.Fatal(err)
	}
	if run, err := s.StartVerification(id); err != nil || run.Status != VerifyRunning { // the same one
		t.Errorf("again: %+v, %v", run, err)
	}
	run, err := s.CancelVerification(id)
	if err != nil || run.Status != VerifyCancelled || run.OK || run.BytesDone != 0 {
		t.Errorf("cancelled: %+v, %v", run, err)
	}
	s.verifying.disks.Unlock()
	if _, err := s.StartVerification(id); err != nil {
		t.Fatal(err)
	}
	if run := verified(t, s, id); !run.OK {
		t.Errorf("once more: %+v", run)
	}
}
