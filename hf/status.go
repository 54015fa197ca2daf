package hf

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
)

// failure turns an error of a request for a model into one that says what to do. what is the file that was
// asked for, "" for the model itself. The cases and their order are those of hf_raise_for_status in
// huggingface_hub: the Hub hides private models behind 401, so that code alone says little.
func (c *Client) failure(err error, repo, revision, what string) error {
	if err == nil || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	who := fmt.Sprintf("model %q", repo)
	page := c.endpoint + "/" + repo
	var s *statusError
	if !errors.As(err, &s) {
		if isNetwork(err) && what != "" {
			return &Error{
				Kind: ErrOffline, Message: who + ": " + what + ": the connection keeps breaking off", Cause: err,
				hint: "run it again: it goes on where it was",
			}
		}
		if isNetwork(err) {
			return &Error{
				Kind: ErrOffline, Message: who + ": " + c.endpoint + " can't be reached", Cause: err,
				hint: "check the network, the proxy (HTTPS_PROXY) and HF_ENDPOINT",
			}
		}
		return fmt.Errorf("%s: %w", subject(who, what), err)
	}
	e := &Error{Cause: s}
	switch {
	case s.foreign:
		return fmt.Errorf("%s: %w", subject(who, what), err)
	case s.code == "RevisionNotFound":
		e.Kind, e.Cause = ErrRevision, nil
		e.Message = fmt.Sprintf("%s has no revision %q", who, revision)
		e.hint = "branches and tags are listed at " + page + "/tree/main"
	case s.code == "EntryNotFound":
		e.Kind, e.Cause = ErrNotFound, nil
		e.Message = fmt.Sprintf("%s has no file %s at revision %s", who, what, revision)
	case s.code == "GatedRepo":
		e.Kind, e.Cause = ErrGated, nil
		e.Message = who + " is gated: its licence must be accepted first"
		e.hint = "accept it at " + page + ", then set HF_TOKEN to a token of the same account (" + c.endpoint + "/settings/tokens)"
		if c.token != "" {
			e.hint = "the token's account has no access yet: ask for it at " + page + ", and let the token read gated repositories"
		}
	case strings.HasPrefix(s.message, "Access to this resource is disabled"):
		e.Kind = ErrNotFound
		e.Message = who + " is disabled on the Hub"
	case s.status == http.StatusUnauthorized && s.message == "Invalid credentials in Authorization header",
		s.status == http.StatusUnauthorized && s.code != "RepoNotFound" && c.token != "":
		e.Kind = ErrUnauthorized
		e.Message = who + ": the token is not valid"
		e.hint = "make a new one at " + c.endpoint + "/settings/tokens and set HF_TOKEN, or unset it for public models"
	case s.code == "RepoNotFound", s.status == http.StatusUnauthorized, s.status == http.StatusNotFound:
		e.Kind = ErrNotFound
		e.Message = who + " doesn't exist on the Hub, or is private"
		e.hint = "check the spelling; a private model needs HF_TOKEN; a local folder is written ./" + repo
		if c.token != "" {
			e.hint = "check the spelling, and that the token may read it; a local folder is written ./" + repo
		}
	case s.status == http.StatusForbidden:
		e.Kind = ErrUnauthorized
		e.Message = who + ": access is refused"
		e.hint = "the token needs the right to read this model: " + c.endpoint + "/settings/tokens"
	case s.status == http.StatusTooManyRequests:
		e.Kind = errBusy
		e.Message = who + ": too many requests"
		e.hint = "wait a few minutes and run it again: it goes on where it was"
		if c.token == "" {
			e.hint += "; with HF_TOKEN set, the limits are higher"
		}
	default:
		return fmt.Errorf("%s: %w", subject(who, what), err)
	}
	return e
}

// errBusy is the kind of an Error about rate limits, which no caller tells apart.
var errBusy = errors.New("too many requests")

func subject(who, what string) string {
	if what == "" {
		return who
	}
	return who + ": " + what
}

// isNetwork reports whether an error came from the way to the server and not from its answer.
func isNetwork(err error) bool {
	var s *statusError
	var t *transientError
	var n *networkError
	return !errors.As(err, &s) && (errors.As(err, &t) || errors.As(err, &n))
}
