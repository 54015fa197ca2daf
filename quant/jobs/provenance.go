package jobs

import (
	"encoding/json"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/nexus-quant/nexus-quant/quant"
)

const levelError = slog.LevelError

// provenancePath is where the statement of an output's origin stands.
func provenancePath(output string) string { return output + ".provenance.json" }

// The statement follows in-toto's Statement v1 with SLSA's provenance predicate v1: what was made, of what, how and by
// what. It is not signed.
type statement struct {
	Type          string     `json:"_type"`
	Subject       []resource `json:"subject"`
	PredicateType string     `json:"predicateType"`
	Predicate     predicate  `json:"predicate"`
}

type resource struct {
	Name   string            `json:"name,omitempty"`
	URI    string            `json:"uri,omitempty"`
	Digest map[string]string `json:"digest"`
}

type predicate struct {
	Build struct {
		Type         string     `json:"buildType"`
		External     *Request   `json:"externalParameters"`
		Dependencies []resource `json:"resolvedDependencies"`
	} `json:"buildDefinition"`
	Run struct {
		Builder struct {
			ID      string            `json:"id"`
			Version map[string]string `json:"version"`
		} `json:"builder"`
		Metadata struct {
			Finished time.Time `json:"finishedOn"`
		} `json:"metadata"`
	} `json:"runDetails"`
}

// writeProvenance states the origin of an output beside it. Inputs that the Hub's cache does not keep under their hash
// are hashed now, which reads them once more.
func (s *Service) writeProvenance(x *executed, r *Request, o quant.Result) error {
	st := statement{
		Type: "https://in-toto.io/Statement/v1", PredicateType: "https://slsa.dev/provenance/v1",
		Subject: []resource{{Name: filepath.Base(o.Path), Digest: map[string]string{"sha256": o.SHA256}}},
	}
	p := &st.Predicate
	p.Build.Type, p.Build.External = "https://github.com/nexus-quant/nexus-quant/quantize/v1", r
	if x.Repo != "" && x.Commit != "" {
		p.Build.Dependencies = append(p.Build.Dependencies, resource{URI: "hf://" + x.Repo + "@" + x.Commit, Digest: map[string]string{"gitCommit": x.Commit}})
	}
	for _, f := range x.Files {
		d := resource{Name: f.Name, Digest: map[string]string{}}
		sum := f.Version
		if !isSHA256(sum) {
			var err error
			if sum, err = hashFile(f.Path); err != nil {
				return err
			}
		}
		d.Digest["sha256"] = sum
		p.Build.Dependencies = append(p.Build.Dependencies, d)
	}
	p.Run.Builder.ID = "https://github.com/nexus-quant/nexus-quant"
	p.Run.Builder.Version = map[string]string{"nexus-quant": s.version}
	p.Run.Metadata.Finished = time.Now().UTC()
	b, err := json.MarshalIndent(st, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(provenancePath(o.Path), append(b, '\n'), 0o644)
}

func isSHA256(s string) bool {
	return len(s) == 64 && strings.Trim(s, "0123456789abcdef") == ""
}
