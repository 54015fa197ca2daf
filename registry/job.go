package registry

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// State is where a job is.
type State string

// The states of jobs.
const (
	Queued      State = "queued"      // waits for a worker
	Downloading State = "downloading" // the source is fetched
	Preparing   State = "preparing"   // claimed: opened, planned, disk reserved
	Quantizing  State = "quantizing"  // outputs are written
	Completed   State = "completed"
	Failed      State = "failed"    // Error says why; Resumable says whether the work so far can be used
	Cancelled   State = "cancelled" // by the user, for good
	Interrupted State = "interrupted"
)

// states are all states; a state's place is its code in the index, so new ones are added at the end.
var states = []State{Queued, Downloading, Preparing, Quantizing, Completed, Failed, Cancelled, Interrupted}

// States returns all states.
func States() []State { return slices.Clone(states) }

// Valid reports whether s is one of the states.
func (s State) Valid() bool { return slices.Contains(states, s) }

// Active reports whether somebody works on a job in this state, or died while doing so.
func (s State) Active() bool { return s == Downloading || s == Preparing || s == Quantizing }

// Ended reports whether a job in this state stays in it unless the user asks for more.
func (s State) Ended() bool { return s == Completed || s == Failed || s == Cancelled }

// OutputState is where one output of a job is.
type OutputState string

// The states of outputs.
const (
	OutputPending   OutputState = "pending"
	OutputRunning   OutputState = "running"
	OutputCompleted OutputState = "completed"
	OutputFailed    OutputState = "failed"
	OutputCancelled OutputState = "cancelled"
)

// Ended reports whether the output is done with, well or not.
func (s OutputState) Ended() bool {
	return s == OutputCompleted || s == OutputFailed || s == OutputCancelled
}

func (s OutputState) valid() bool { return s == OutputPending || s == OutputRunning || s.Ended() }

// Job is the record of one job. Times are UTC, sizes bytes.
type Job struct {
	ID           string   `json:"id"`     // UUID
	Number       uint64   `json:"number"` // counts the jobs of this registry from 1: the order of creation, whatever the clock did
	Version      uint64   `json:"-"`      // of the registry when this job last changed, see Changes
	Name         string   `json:"name"`
	Description  string   `json:"description,omitempty"`
	SourceModel  string   `json:"source_model"`
	SourceType   string   `json:"source_type,omitempty"`
	Revision     string   `json:"revision,omitempty"`
	Commit       string   `json:"commit,omitempty"`
	Architecture string   `json:"architecture,omitempty"`
	Formats      []string `json:"formats,omitempty"`
	Types        []string `json:"types,omitempty"`
	// Request is what the service needs to run the job again, Estimate what it said beforehand. The registry only
	// asks that they be JSON.
	Request  json.RawMessage `json:"request,omitempty"`
	Estimate json.RawMessage `json:"estimate,omitempty"`
	Priority int             `json:"priority,omitempty"` // higher ones first, oldest first among equals

	State   State    `json:"state"`
	Step    string   `json:"step,omitempty"` // what is being done, for people
	Outputs []Output `json:"outputs,omitempty"`

	BytesDone      int64   `json:"bytes_done"`
	BytesTotal     int64   `json:"bytes_total"`
	BytesPerSecond float64 `json:"bytes_per_second"`
	ETASeconds     float64 `json:"eta_seconds"`
	Progress       float64 `json:"progress"` // percent; the registry computes it from the bytes, and it never falls within an attempt

	Error     string `json:"error,omitempty"`
	Hint      string `json:"hint,omitempty"`
	Resumable bool   `json:"resumable,omitempty"` // of a failed job: Resume and Claim go on with it
	Missing   int64  `json:"missing,omitempty"`   // bytes of disk that were missing
	Abandoned bool   `json:"abandoned,omitempty"` // of an interrupted job: its owner died, nobody stopped it

	// These are the registry's own; what Update's function does to them is undone.
	CancelRequested bool       `json:"cancel_requested,omitempty"`
	Owner           *Owner     `json:"owner,omitempty"` // set exactly while the job is active
	Attempts        int        `json:"attempts"`        // how often it was claimed
	Created         time.Time  `json:"created"`
	Updated         time.Time  `json:"updated"` // the last change but a heartbeat
	Started         *time.Time `json:"started,omitempty"`
	Ended           *time.Time `json:"ended,omitempty"`
}

// Output is one file that a job makes.
type Output struct {
	ID            string      `json:"id"` // unique within the job
	Format        string      `json:"format"`
	Type          string      `json:"type"`
	Path          string      `json:"path,omitempty"`
	Bytes         int64       `json:"bytes,omitempty"` // of the file
	State         OutputState `json:"state"`
	BytesDone     int64       `json:"bytes_done"`
	BytesTotal    int64       `json:"bytes_total"`
	Progress      float64     `json:"progress"` // percent, computed like the job's
	Error         string      `json:"error,omitempty"`
	SHA256        string      `json:"sha256,omitempty"`
	BitsPerWeight float64     `json:"bits_per_weight,omitempty"`
	RMSE          float64     `json:"rmse,omitempty"`
	Created       time.Time   `json:"created"`
	Ended         *time.Time  `json:"ended,omitempty"`
}

// ways says which states a job's owner may lead it to. Claim, Resume, Retry and RequestCancel are the other ways.
var ways = map[State][]State{
	Downloading: {Preparing, Quantizing, Completed, Failed, Cancelled, Interrupted},
	Preparing:   {Downloading, Quantizing, Completed, Failed, Cancelled, Interrupted},
	Quantizing:  {Downloading, Preparing, Completed, Failed, Cancelled, Interrupted},
}

// outputWays says the same of outputs. A running one goes back to pending when a run is stopped cleanly.
var outputWays = map[OutputState][]OutputState{
	OutputPending: {OutputRunning, OutputCompleted, OutputFailed, OutputCancelled},
	OutputRunning: {OutputPending, OutputCompleted, OutputFailed, OutputCancelled},
}

// claimable reports whether Claim may take a job that nobody works on.
func (j *Job) claimable() bool {
	return j.State == Queued || j.State == Interrupted || j.State == Failed && j.Resumable
}

// advance checks what a job's owner made of it, old being the record before, and fills in what follows from it.
func (j *Job) advance(old *Job, now time.Time) error {
	j.ID, j.Number, j.Owner, j.Attempts = old.ID, old.Number, old.Owner, old.Attempts
	j.CancelRequested, j.Created, j.Started, j.Ended = old.CancelRequested, old.Created, old.Started, old.Ended
	j.Abandoned = false
	if j.CancelRequested && (j.State == Interrupted || j.State == Failed) {
		j.State = Cancelled // or somebody would resume what the user has cancelled
	}
	if j.State != old.State && !slices.Contains(ways[old.State], j.State) {
		return errorf(ErrState, "job %s: can't go from %s to %q", j.ID, old.State, j.State)
	}
	if err := j.advanceOutputs(old, now); err != nil {
		return err
	}
	j.BytesDone, j.Progress = progress(j.BytesDone, j.BytesTotal, old.BytesDone, old.Progress)
	j.settle(now)
	return j.check()
}

func (j *Job) advanceOutputs(old *Job, now time.Time) error {
	seen := make(map[string]*Output, len(old.Outputs))
	for i := range old.Outputs {
		seen[old.Outputs[i].ID] = &old.Outputs[i]
	}
	for i := range j.Outputs {
		o := &j.Outputs[i]
		was, ok := seen[o.ID]
		if !ok {
			o.fresh(now)
			continue
		}
		delete(seen, o.ID)
		if o.State != was.State && !slices.Contains(outputWays[was.State], o.State) {
			return errorf(ErrState, "job %s: output %s can't go from %s to %q", j.ID, o.ID, was.State, o.State)
		}
		o.Created, o.Ended = was.Created, was.Ended
		o.BytesDone, o.Progress = progress(o.BytesDone, o.BytesTotal, was.BytesDone, was.Progress)
		o.settle(now)
	}
	for id, was := range seen {
		if was.State != OutputPending {
			return errorf(ErrState, "job %s: output %s is %s and can't be taken off the list", j.ID, id, was.State)
		}
	}
	return nil
}

// settle fills in what follows from the state.
func (j *Job) settle(now time.Time) {
	for i := range j.Outputs {
		o := &j.Outputs[i]
		switch {
		case j.State == Cancelled && !o.State.Ended():
			o.State = OutputCancelled
		case (j.State == Interrupted || j.State == Failed && j.Resumable) && o.State == OutputRunning:
			o.State = OutputPending
		case j.State == Failed && !j.Resumable && o.State == OutputRunning:
			o.State = OutputFailed
			if o.Error == "" {
				o.Error = j.Error
			}
		case j.State == Failed && !j.Resumable && o.State == OutputPending:
			o.State = OutputCancelled
		}
		o.settle(now)
	}
	if j.State == Completed {
		j.Progress, j.Error, j.Hint, j.Missing = 100, "", "", 0
	}
	if j.State != Failed {
		j.Resumable = false
	}
	if j.State != Interrupted {
		j.Abandoned = false
	}
	if !j.State.Active() {
		j.Owner, j.BytesPerSecond, j.ETASeconds = nil, 0, 0
		j.CancelRequested = false
	}
	if !j.State.Ended() {
		j.Ended = nil
	} else if j.Ended == nil {
		j.Ended = &now
	}
}

// reopen makes what isn't completed pending again: an attempt tries all of it.
func (j *Job) reopen() {
	for i := range j.Outputs {
		if o := &j.Outputs[i]; o.State != OutputCompleted {
			o.State, o.Error, o.Ended = OutputPending, "", nil
		}
	}
}

func (o *Output) fresh(now time.Time) {
	o.Created, o.Ended = now, nil
	if o.State == "" {
		o.State = OutputPending
	}
	o.BytesDone, o.Progress = progress(o.BytesDone, o.BytesTotal, 0, 0)
	o.settle(now)
}

func (o *Output) settle(now time.Time) {
	if o.State == OutputCompleted {
		o.Progress = 100
	}
	if !o.State.Ended() {
		o.Ended = nil
	} else if o.Ended == nil {
		o.Ended = &now
	}
}

// progress keeps bytes and percentage from falling, also where the total grows.
func progress(done, total, wasDone int64, was float64) (int64, float64) {
	done = max(done, wasDone)
	percent := was
	if total > 0 {
		percent = max(was, 100*min(1, float64(done)/float64(total)))
	}
	return done, percent
}

// Limits of a record, far above what a job needs.
const (
	maxName    = 1 << 10
	maxRecord  = 4 << 20
	maxOutputs = 1000
)

// check tells a record that could not be stored, listed or read back.
func (j *Job) check() error {
	for _, f := range []*float64{&j.BytesPerSecond, &j.ETASeconds, &j.Progress} {
		*f = finite(*f)
	}
	switch {
	case !ValidID(j.ID):
		return errorf(ErrInvalid, "job %q: the ID is no UUID in lower case", j.ID)
	case j.SourceModel == "":
		return errorf(ErrInvalid, "job %s: no source model", j.ID)
	case len(j.Name) > maxName || len(j.SourceModel) > 4*maxName:
		return errorf(ErrInvalid, "job %s: name of %d bytes, source model of %d; at most %d and %d",
			j.ID, len(j.Name), len(j.SourceModel), maxName, 4*maxName)
	case !utf8.ValidString(j.Name) || !utf8.ValidString(j.SourceModel):
		return errorf(ErrInvalid, "job %s: name or source model is not UTF-8", j.ID)
	case !j.State.Valid():
		return errorf(ErrInvalid, "job %s: no such state: %q", j.ID, j.State)
	case j.State.Active() != (j.Owner != nil):
		return errorf(ErrInvalid, "job %s: %s, and owner %v", j.ID, j.State, j.Owner)
	case int64(int32(j.Priority)) != int64(j.Priority):
		return errorf(ErrInvalid, "job %s: priority %d is out of range", j.ID, j.Priority)
	case j.BytesDone < 0 || j.BytesTotal < 0 || j.Missing < 0 || j.Attempts < 0:
		return errorf(ErrInvalid, "job %s: a negative count", j.ID)
	case len(j.Outputs) > maxOutputs:
		return errorf(ErrInvalid, "job %s: %d outputs, at most %d", j.ID, len(j.Outputs), maxOutputs)
	case len(j.Request) > 0 && !json.Valid(j.Request):
		return errorf(ErrInvalid, "job %s: the request is not JSON", j.ID)
	case len(j.Estimate) > 0 && !json.Valid(j.Estimate):
		return errorf(ErrInvalid, "job %s: the estimate is not JSON", j.ID)
	}
	seen := make(map[string]bool, len(j.Outputs))
	for i := range j.Outputs {
		o := &j.Outputs[i]
		for _, f := range []*float64{&o.BitsPerWeight, &o.RMSE, &o.Progress} {
			*f = finite(*f)
		}
		switch {
		case o.ID == "" || seen[o.ID]:
			return errorf(ErrInvalid, "job %s: output %q stands there twice or has no ID", j.ID, o.ID)
		case !o.State.valid():
			return errorf(ErrInvalid, "job %s: output %s: no such state: %q", j.ID, o.ID, o.State)
		case !utf8.ValidString(o.Path):
			return errorf(ErrInvalid, "job %s: output %s: the path is not UTF-8", j.ID, o.ID)
		case o.Bytes < 0 || o.BytesDone < 0 || o.BytesTotal < 0:
			return errorf(ErrInvalid, "job %s: output %s: a negative count", j.ID, o.ID)
		case j.State == Completed && !o.State.Ended():
			return errorf(ErrState, "job %s: completed, but output %s is %s", j.ID, o.ID, o.State)
		}
		seen[o.ID] = true
	}
	return nil
}

// finite replaces what JSON can't hold.
func finite(f float64) float64 {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return 0
	}
	return f
}

// recordVersion is the version of job and model records within the schema.
const recordVersion = 1

// jobRecord is how a job stands in the database.
type jobRecord struct {
	Record  int    `json:"v"`
	Changed uint64 `json:"version"`
	Job
}

func encodeJob(j *Job) ([]byte, error) {
	data, err := json.Marshal(jobRecord{recordVersion, j.Version, *j})
	if err != nil {
		return nil, &Error{Kind: ErrInvalid, Message: fmt.Sprintf("job %s", j.ID), Cause: err}
	}
	if len(data) > maxRecord {
		return nil, errorf(ErrInvalid, "job %s: record of %d bytes, at most %d", j.ID, len(data), maxRecord)
	}
	return data, nil
}

func decodeJob(data []byte) (Job, error) {
	var r jobRecord
	if err := json.Unmarshal(data, &r); err != nil {
		return Job{}, fmt.Errorf("job record: %w", err)
	}
	if r.Record != recordVersion {
		return Job{}, fmt.Errorf("job record: version %d, want %d", r.Record, recordVersion)
	}
	r.Job.Version = r.Changed
	if err := r.Job.check(); err != nil {
		return Job{}, err
	}
	return r.Job, nil
}

// searchText is what Filter.Search looks into.
func (j *Job) searchText() string {
	return strings.ToLower(strings.Join([]string{j.Name, j.SourceModel, j.Architecture, strings.Join(j.Types, " ")}, "\n"))
}
