package api

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"html/template"
	"maps"
	"net/http"
	"reflect"
	"slices"
	"strings"

	"github.com/danielgtaylor/huma/v2"
)

//go:embed docs.html
var docsPage string

//go:embed docs.css
var docsStyle string

// describe makes the OpenAPI description and the page that shows it, once: neither changes while a server runs.
func (a *API) describe() {
	o := a.huma.OpenAPI()
	describeErrors(o)
	loosen(o)
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(o); err != nil {
		panic(fmt.Sprintf("openapi: %v", err)) // of the program's own types
	}
	a.spec = b.Bytes()
	a.mux.Handle("GET /openapi.json", fixed("application/json", "", a.spec))

	page := template.Must(template.New("docs").Funcs(template.FuncMap{"schema": describeSchema}).Parse(docsPage))
	var html bytes.Buffer
	if err := page.Execute(&html, readable(o)); err != nil {
		panic(fmt.Sprintf("docs page: %v", err))
	}
	sum := sha256.Sum256([]byte(docsStyle))
	policy := "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'; frame-ancestors 'none'"
	a.mux.Handle("GET /docs", fixed("text/html; charset=utf-8", policy, html.Bytes()))
}

// describeErrors gives every refusal the forms that errors have.
func describeErrors(o *huma.OpenAPI) {
	types := o.Components.Schemas
	media := func(v any) *huma.MediaType { return &huma.MediaType{Schema: types.Schema(reflect.TypeOf(v), true, "")} }
	plain, fields, form := media(plainError{}), media(fieldsError{}), media(problem{})
	for _, item := range o.Paths {
		for _, op := range []*huma.Operation{item.Get, item.Post, item.Delete} {
			if op == nil {
				continue
			}
			delete(op.Responses, "default")
			for status, r := range op.Responses {
				if status < "400" {
					continue
				}
				r.Content = map[string]*huma.MediaType{jsonType: plain, problemType: form}
				if status == "422" {
					r.Content[jsonType] = fields
				}
			}
		}
	}
	delete(types.Map(), "Error")
}

// loosen leaves what answers hold open for additions. Only bodies of requests are exact.
func loosen(o *huma.OpenAPI) {
	all := o.Components.Schemas.Map()
	exact := map[string]bool{}
	var mark func(s *huma.Schema)
	mark = func(s *huma.Schema) {
		if s == nil {
			return
		}
		if name := s.Ref[strings.LastIndex(s.Ref, "/")+1:]; s.Ref != "" {
			if !exact[name] {
				exact[name] = true
				mark(all[name])
			}
			return
		}
		mark(s.Items)
		for _, p := range s.Properties {
			mark(p)
		}
	}
	for _, item := range o.Paths {
		if item.Post != nil && item.Post.RequestBody != nil {
			mark(item.Post.RequestBody.Content[jsonType].Schema)
		}
	}
	for name, s := range all {
		if !exact[name] && s.AdditionalProperties == false {
			s.AdditionalProperties = nil
		}
	}
}

// fixed serves bytes that don't change, with an ETag.
func fixed(contentType, policy string, content []byte) http.Handler {
	sum := sha256.Sum256(content)
	etag := `"` + hex.EncodeToString(sum[:16]) + `"`
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		if policy != "" {
			h.Set("Content-Security-Policy", policy)
		}
		h.Set("Content-Type", contentType)
		h.Set("Cache-Control", "no-cache")
		h.Set("ETag", etag)
		if r.Header.Get("If-None-Match") == etag {
			w.WriteHeader(http.StatusNotModified)
			return
		}
		_, _ = w.Write(content)
	})
}

// The page, as its template takes it.
type (
	docs struct {
		Title, Version, About string
		Style                 template.CSS
		Groups                []docsGroup
		Schemas               []docsSchema
	}
	docsGroup struct {
		Name, About string
		Operations  []docsOperation
	}
	docsOperation struct {
		ID, Method, Path, Summary, About string
		Parameters                       []docsField
		Body                             *huma.Schema
		Responses                        []docsResponse
	}
	docsResponse struct {
		Status, About, ContentType string
		Schema                     *huma.Schema
	}
	docsSchema struct {
		Name   string
		Fields []docsField
	}
	docsField struct {
		Name, In, About string
		Required        bool
		Schema          *huma.Schema
	}
)

// readable orders the description for people.
func readable(o *huma.OpenAPI) docs {
	d := docs{Title: o.Info.Title, Version: o.Info.Version, About: o.Info.Description, Style: template.CSS(docsStyle)}
	for _, tag := range o.Tags {
		g := docsGroup{Name: tag.Name, About: tag.Description}
		for _, path := range slices.Sorted(maps.Keys(o.Paths)) {
			item := o.Paths[path]
			for _, op := range []*huma.Operation{item.Get, item.Post, item.Delete} {
				if op != nil && slices.Contains(op.Tags, tag.Name) {
					g.Operations = append(g.Operations, readableOperation(op))
				}
			}
		}
		d.Groups = append(d.Groups, g)
	}
	all := o.Components.Schemas.Map()
	for _, name := range slices.Sorted(maps.Keys(all)) {
		s := docsSchema{Name: name}
		for _, field := range slices.Sorted(maps.Keys(all[name].Properties)) {
			p := all[name].Properties[field]
			s.Fields = append(s.Fields, docsField{Name: field, About: p.Description, Required: slices.Contains(all[name].Required, field), Schema: p})
		}
		d.Schemas = append(d.Schemas, s)
	}
	return d
}

func readableOperation(op *huma.Operation) docsOperation {
	out := docsOperation{ID: op.OperationID, Method: op.Method, Path: op.Path, Summary: op.Summary, About: op.Description}
	for _, p := range op.Parameters {
		out.Parameters = append(out.Parameters, docsField{p.Name, p.In, p.Schema.Description + p.Description, p.Required, p.Schema})
	}
	if op.RequestBody != nil {
		out.Body = op.RequestBody.Content[jsonType].Schema
	}
	for _, status := range slices.Sorted(maps.Keys(op.Responses)) {
		r := op.Responses[status]
		resp := docsResponse{Status: status, About: r.Description}
		for _, ct := range slices.Sorted(maps.Keys(r.Content)) {
			resp.ContentType, resp.Schema = ct, r.Content[ct].Schema
			break
		}
		out.Responses = append(out.Responses, resp)
	}
	return out
}

// describeSchema says what values a schema has, with a link to a named one.
func describeSchema(s *huma.Schema) template.HTML {
	switch {
	case s == nil:
		return ""
	case s.Ref != "":
		name := template.HTMLEscapeString(s.Ref[strings.LastIndex(s.Ref, "/")+1:])
		return template.HTML(`<a href="#` + name + `">` + name + `</a>`)
	case s.Type == huma.TypeArray:
		return "list of " + describeSchema(s.Items)
	}
	text := s.Type
	if text == "" {
		text = "any JSON"
	}
	if s.Format == "date-time" {
		text = "time"
	}
	if extra, ok := s.AdditionalProperties.(*huma.Schema); ok {
		return "object of " + describeSchema(extra)
	}
	if len(s.Enum) > 0 {
		var names []string
		for _, v := range s.Enum {
			names = append(names, fmt.Sprint(v))
		}
		text = strings.Join(names, ", ")
	}
	if s.Minimum != nil {
		text += fmt.Sprintf(", at least %v", *s.Minimum)
	}
	if s.Maximum != nil {
		text += fmt.Sprintf(", at most %v", *s.Maximum)
	}
	if s.Default != nil {
		text += fmt.Sprintf(", default %v", s.Default)
	}
	if s.Nullable {
		text += ", or null"
	}
	return template.HTML(template.HTMLEscapeString(text))
}
