package jobs

import "time"

// Rate turns progress into bytes per second and the time left, smoothed over the last seconds.
type Rate struct {
	start, last time.Time
	done        int64
	perSecond   float64
}

// Add notes that done bytes are finished and returns the rate and the time left.
func (r *Rate) Add(now time.Time, done, total int64) (perSecond float64, left time.Duration) {
	if r.start.IsZero() || done < r.done {
		*r = Rate{start: now, last: now, done: done}
		return 0, 0
	}
	if dt := now.Sub(r.last).Seconds(); dt >= 0.2 {
		current := float64(done-r.done) / dt
		if r.perSecond == 0 {
			r.perSecond = current
		}
		const window = 5 // seconds
		weight := min(1, dt/window)
		r.perSecond += weight * (current - r.perSecond)
		r.last, r.done = now, done
	}
	if r.perSecond > 0 {
		left = time.Duration(float64(total-done) / r.perSecond * float64(time.Second))
	}
	return r.perSecond, left
}
