package ui

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"html/template"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/nexus-quant/nexus-quant/ui/api"
)

//go:embed login.html
var loginPage string

//go:embed login.css
var loginStyle string

var loginTemplate = template.Must(template.New("login").Parse(loginPage))

// loginPolicy allows the page its style and its form, and nothing else: it has no script.
var loginPolicy = func() string {
	sum := sha256.Sum256([]byte(loginStyle))
	return "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) +
		"'; img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
}()

// The addresses of a server that asks for its token.
const (
	loginPath  = "/login"
	logoutPath = "/logout"
)

// public are the files that the sign-in page shows to those who are not in yet.
var public = map[string]bool{"/static/icon.svg": true, "/favicon.ico": true}

// maxLogin bounds the form of a login, in bytes.
const maxLogin = 16 << 10

// session answers what has to do with coming in and going out, and tells whether it did.
func (g *guard) session(w http.ResponseWriter, r *http.Request) bool {
	switch {
	case r.URL.Path == loginPath && r.Method == http.MethodPost && g.secured:
		g.login(w, r)
	case r.URL.Path == loginPath && (r.Method == http.MethodGet || r.Method == http.MethodHead):
		next := localAddress(r.URL.Query().Get("next"))
		if !g.secured || g.known(r) {
			redirect(w, r, next)
		} else {
			showLogin(w, http.StatusOK, next, false)
		}
	case r.URL.Path == logoutPath && r.Method == http.MethodPost && g.secured:
		g.setCookie(w, r, "", -1)
		redirect(w, r, loginPath)
	default:
		return false
	}
	return true
}

// login takes the token from the form of the sign-in page.
func (g *guard) login(w http.ResponseWriter, r *http.Request) {
	_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(bodyTime))
	r.Body = http.MaxBytesReader(w, r.Body, maxLogin)
	token := strings.TrimSpace(r.PostFormValue("token"))
	next := localAddress(r.PostFormValue("next"))
	switch {
	case g.matches(token):
		g.setCookie(w, r, token, 0)
		redirect(w, r, next)
	case wantsPage(r):
		showLogin(w, http.StatusUnauthorized, next, true)
	default:
		api.WriteError(w, r, &api.Error{Status: http.StatusUnauthorized, Detail: "this is not the token"})
	}
}

// setCookie keeps the token in the browser until it is closed; with age -1 it is taken away.
func (g *guard) setCookie(w http.ResponseWriter, r *http.Request, token string, age int) {
	http.SetCookie(w, &http.Cookie{Name: tokenCookie(r), Value: token, Path: "/", MaxAge: age, HttpOnly: true, SameSite: http.SameSiteStrictMode})
}

func redirect(w http.ResponseWriter, r *http.Request, to string) {
	w.Header().Set("Cache-Control", "no-store")
	http.Redirect(w, r, to, http.StatusSeeOther)
}

// wantsPage tells whether a person asks with a browser, who can be shown a form.
func wantsPage(r *http.Request) bool { return strings.Contains(r.Header.Get("Accept"), "text/html") }

func showLogin(w http.ResponseWriter, status int, next string, wrong bool) {
	var b bytes.Buffer
	err := loginTemplate.Execute(&b, struct {
		Style template.CSS
		Next  string
		Wrong bool
	}{template.CSS(loginStyle), next, wrong})
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	h := w.Header()
	h.Set("Content-Security-Policy", loginPolicy)
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = w.Write(b.Bytes())
}

// localAddress is an address of this server to go to after a login: never another server's, and not the login again.
func localAddress(s string) string {
	u, err := url.Parse(s)
	if err != nil || u.Scheme != "" || u.Host != "" || !strings.HasPrefix(u.Path, "/") || u.Path == loginPath || u.Path == logoutPath {
		return "/"
	}
	q := u.Query()
	q.Del("token")
	// one slash alone: two would name a host
	to := url.URL{Path: "/" + strings.TrimLeft(u.Path, `/\`), RawQuery: q.Encode()}
	return to.String()
}
