package hf

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"
)

// maxWait is the longest time that a server may ask us to wait. Longer is a refusal.
const maxWait = 5 * time.Minute

// transientError is a failure that a repetition may cure.
type transientError struct {
	err   error
	after time.Duration // how long the server asks to wait, 0 if it doesn't
}

func (e *transientError) Error() string { return e.err.Error() }
func (e *transientError) Unwrap() error { return e.err }

// retry calls attempt until it succeeds, fails for good, or fails retries times in a row without
// progress. attempt reports whether it gained anything.
func (c *Client) retry(ctx context.Context, retries int, attempt func() (progress bool, err error)) error {
	for failed := 0; ; failed++ {
		progress, err := attempt()
		if err == nil {
			return nil
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		var transient *transientError
		if !errors.As(err, &transient) {
			return err
		}
		if progress {
			failed = 0
		}
		if failed >= retries {
			if failed == 0 {
				return err
			}
			return fmt.Errorf("gave up after %d attempts: %w", failed+1, err)
		}
		if transient.after > maxWait {
			return fmt.Errorf("%w: asks to wait %v", err, transient.after.Round(time.Second))
		}
		wait := min(c.backoff<<failed, 30*time.Second)
		wait += rand.N(wait/2 + 1) // so that many connections don't come back at once
		if err := sleep(ctx, max(wait, transient.after)); err != nil {
			return err
		}
	}
}

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-timer.C:
		return nil
	}
}
