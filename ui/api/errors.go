package api

import (
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"github.com/nexus-quant/nexus-quant/quant/jobs"
)

// Error is a refusal. It is written as {"detail": "..."}, wrong fields as {"detail": [{loc, msg, type}]}, and to
// clients that accept application/problem+json in the form of RFC 9457.
type Error struct {
	Status int
	Detail string       // for people
	Hint   string       // what to do about it, may be empty
	Fields []fieldError // of a 422
}

func (e *Error) Error() string { return e.Detail }

// GetStatus lets huma write the error with its status.
func (e *Error) GetStatus() int { return e.Status }

// fieldError is one wrong field of a request.
type fieldError struct {
	Loc  []any  `json:"loc" doc:"Where: body, query or path, then names and places in lists"`
	Msg  string `json:"msg" doc:"What is wrong, for people"`
	Type string `json:"type" doc:"What is wrong, for programs"`
}

// plainError, fieldsError and problem are the three forms.
type (
	plainError struct {
		Detail string `json:"detail" doc:"What is wrong"`
		Hint   string `json:"hint,omitempty" doc:"What to do about it"`
	}
	fieldsError struct {
		Detail []fieldError `json:"detail" doc:"What is wrong, field by field"`
	}
	problem struct {
		Type   string       `json:"type" doc:"always about:blank: the status says it all"`
		Title  string       `json:"title"`
		Status int          `json:"status"`
		Detail string       `json:"detail"`
		Hint   string       `json:"hint,omitempty"`
		Errors []fieldError `json:"errors,omitempty"`
	}
)

const (
	jsonType    = "application/json"
	problemType = "application/problem+json"
)

// form chooses how an error is written for a client that accepts what the header says.
func (e *Error) form(accept string) (contentType string, body any) {
	if strings.Contains(accept, problemType) {
		detail := e.Detail
		if len(e.Fields) > 0 {
			detail = "the request has wrong fields"
		}
		return problemType, problem{"about:blank", http.StatusText(e.Status), e.Status, detail, e.Hint, e.Fields}
	}
	if len(e.Fields) > 0 {
		return jsonType, fieldsError{e.Fields}
	}
	return jsonType, plainError{e.Detail, e.Hint}
}

// WriteError answers a request that no operation has seen: the server's guards use it too.
func WriteError(w http.ResponseWriter, r *http.Request, e *Error) {
	contentType, body := e.form(r.Header.Get("Accept"))
	h := w.Header()
	h.Del("Content-Length")
	h.Set("Content-Type", contentType)
	h.Set("Cache-Control", "no-store")
	w.WriteHeader(e.Status)
	if r.Method != http.MethodHead {
		_ = json.NewEncoder(w).Encode(body)
	}
}

// errorForm is huma's way to what form does.
func errorForm(ctx huma.Context, _ string, v any) (any, error) {
	e, ok := v.(*Error)
	if !ok {
		return v, nil
	}
	contentType, body := e.form(ctx.Header("Accept"))
	ctx.SetHeader("Content-Type", contentType)
	ctx.SetHeader("Cache-Control", "no-store")
	return body, nil
}

// fail turns an error of the service into the answer.
func fail(err error) error {
	var fields jobs.FieldErrors
	if errors.As(err, &fields) {
		e := &Error{Status: http.StatusUnprocessableEntity}
		for _, f := range fields[:min(len(fields), maxFieldErrors)] {
			loc := make([]any, len(f.Loc))
			for i, name := range f.Loc {
				loc[i] = name
				if n, err := strconv.Atoi(name); err == nil { // a place in a list
					loc[i] = n
				}
			}
			e.Fields = append(e.Fields, fieldError{loc, f.Message, f.Type})
		}
		return e
	}
	return &Error{Status: statusOf(err), Detail: err.Error(), Hint: jobs.HintOf(err)}
}

// statuses of the service's classes of errors.
var statuses = map[jobs.Class]int{
	jobs.BadRequest:  http.StatusBadRequest,
	jobs.Unsupported: http.StatusBadRequest,
	jobs.NoAccess:    http.StatusFailedDependency,
	jobs.NotFound:    http.StatusNotFound,
	jobs.Conflict:    http.StatusConflict,
	jobs.NoResources: http.StatusInsufficientStorage,
	jobs.Cancelled:   http.StatusServiceUnavailable, // the server stops, or nobody waits for the answer
	jobs.Forbidden:   http.StatusForbidden,
	jobs.Unavailable: http.StatusBadGateway,
	jobs.Damaged:     http.StatusBadRequest,
}

func statusOf(err error) int {
	if status, ok := statuses[jobs.ClassOf(err)]; ok {
		return status
	}
	return http.StatusInternalServerError
}

// failAs is fail where the contract gives a status a different one for this operation.
func failAs(err error, from, to int) error {
	e := fail(err).(*Error)
	if e.Status == from {
		e.Status = to
	}
	return e
}

// maxFieldErrors bounds the answer to a body that is wrong a thousandfold.
const maxFieldErrors = 50

// refuse is what huma calls for requests that don't fit the schema.
func refuse(status int, msg string, errs ...error) huma.StatusError {
	e := &Error{Status: status, Detail: msg}
	if status == http.StatusBadRequest && msg == "request body is required" {
		errs = []error{&huma.ErrorDetail{Location: "body", Message: "field required"}}
	}
	switch status {
	case http.StatusUnprocessableEntity, http.StatusBadRequest: // huma's 400 is JSON that can't be read
	default:
		if status == http.StatusUnsupportedMediaType {
			e.Detail, e.Hint = "content type not understood", "send application/json"
		}
		return e
	}
	e.Status = http.StatusUnprocessableEntity
	for _, err := range errs {
		var d *huma.ErrorDetail
		if !errors.As(err, &d) {
			d = &huma.ErrorDetail{Location: "body", Message: err.Error()}
		}
		if len(e.Fields) < maxFieldErrors {
			e.Fields = append(e.Fields, field(d))
		}
	}
	if len(e.Fields) == 0 {
		e.Fields = []fieldError{{[]any{"body"}, msg, "value_error"}}
	}
	return e
}

// fieldTypes maps how huma's messages begin to the names that clients of the old system know.
var fieldTypes = []struct{ message, kind string }{
	{"expected required property", "missing"},
	{"field required", "missing"},
	{"required ", "missing"},
	{"unexpected property", "extra_forbidden"},
	{"expected string", "string_type"},
	{"expected integer", "int_type"},
	{"expected boolean", "bool_type"},
	{"expected number >=", "greater_than_equal"},
	{"expected number <=", "less_than_equal"},
	{"expected number", "float_type"},
	{"expected array length >=", "too_short"},
	{"expected array length <=", "too_long"},
	{"expected array", "list_type"},
	{"expected object", "dict_type"},
	{"expected value to be one of", "enum"},
	{"expected length >=", "string_too_short"},
	{"expected length <=", "string_too_long"},
	{"invalid integer", "int_parsing"},
	{"invalid float", "float_parsing"},
	{"invalid boolean", "bool_parsing"},
	{"invalid character", "json_invalid"},
	{"unexpected end of JSON", "json_invalid"},
}

func field(d *huma.ErrorDetail) fieldError {
	f := fieldError{location(d.Location), d.Message, "value_error"}
	for _, t := range fieldTypes {
		if strings.HasPrefix(d.Message, t.message) {
			f.Type = t.kind
			break
		}
	}
	if name, ok := strings.CutPrefix(d.Message, "expected required property "); ok {
		name, _, _ = strings.Cut(name, " ")
		f.Loc, f.Msg = append(f.Loc, name), "field required"
	}
	return f
}

// location splits "body.config.tensor_types[0].type" into names and numbers.
func location(s string) []any {
	var loc []any
	for _, part := range strings.Split(s, ".") {
		name, rest, _ := strings.Cut(part, "[")
		if name != "" {
			loc = append(loc, name)
		}
		for rest != "" {
			var index string
			index, rest, _ = strings.Cut(rest, "]")
			rest = strings.TrimPrefix(rest, "[")
			if n, err := strconv.Atoi(index); err == nil {
				loc = append(loc, n)
			} else {
				loc = append(loc, index)
			}
		}
	}
	return loc
}
