package ui

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
)

// browser makes a request one of a browser that navigates.
func browser(r *http.Request) {
	r.Header.Set("Accept", "text/html,application/xhtml+xml,*/*;q=0.8")
	r.Header.Set("Sec-Fetch-Mode", "navigate")
}

// signIn sends the form of the sign-in page.
func signIn(g *guard, token, next string, change func(*http.Request)) *httptest.ResponseRecorder {
	r := httptest.NewRequest("POST", "http://localhost/login", strings.NewReader(url.Values{"token": {token}, "next": {next}}.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	browser(r)
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	if change != nil {
		change(r)
	}
	w := httptest.NewRecorder()
	g.ServeHTTP(w, r)
	return w
}

func secured() *guard { return newGuard(behind, secret, allowedHosts(false, "0.0.0.0", nil)) }

func TestABrowserIsShownAPageToSignIn(t *testing.T) {
	t.Parallel()
	g := secured()
	for target, next := range map[string]string{"/": "/", "/jobs/1?a=b&token=wrong": "/jobs/1?a=b", "/api/v1/quantize/jobs": "/api/v1/quantize/jobs"} {
		w := through(g, "GET", "http://localhost"+target, browser)
		b := w.Body.String()
		if w.Code != http.StatusUnauthorized || w.Header().Get("WWW-Authenticate") == "" || !strings.Contains(b, `action="/login"`) || !strings.Contains(b, `name="next" value="`+next+`"`) {
			t.Errorf("%s: %d %v %s", target, w.Code, w.Header(), b)
		}
		if wrong := strings.Contains(b, "not this server"); wrong != strings.Contains(target, "token=") {
			t.Errorf("%s: says that the token is wrong: %v", target, wrong)
		}
		if csp := w.Header().Get("Content-Security-Policy"); !strings.Contains(csp, "default-src 'none'") || strings.Contains(csp, "unsafe") || w.Header().Get("Cache-Control") != "no-store" {
			t.Errorf("%s: headers %v", target, w.Header())
		}
	}
	if w := through(g, "GET", "http://localhost/login?next=/settings", browser); w.Code != http.StatusOK || !strings.Contains(w.Body.String(), `value="/settings"`) {
		t.Errorf("/login: %d %s", w.Code, w.Body)
	}
	// the style is the one that the policy allows, and what the page shows may be fetched
	w := through(g, "GET", "http://localhost/", browser)
	b := w.Body.String()
	if style := b[strings.Index(b, "<style>")+len("<style>") : strings.Index(b, "</style>")]; style != loginStyle {
		t.Errorf("the style is %q", style)
	}
	if w := through(g, "GET", "http://localhost/static/icon.svg", nil); w.Code != http.StatusNoContent {
		t.Errorf("the icon: status %d", w.Code)
	}
	// programs, writes and streams get what they can read
	for _, method := range []string{"GET", "POST", "DELETE"} {
		w := through(g, method, "http://localhost/api/v1/quantize/jobs", func(r *http.Request) { r.Header.Set("Accept", "text/event-stream") })
		if w.Code != http.StatusUnauthorized || w.Header().Get("Content-Type") != "application/json" {
			t.Errorf("%s: %d %v", method, w.Code, w.Header())
		}
	}
}

func TestTheTokenSignsIn(t *testing.T) {
	t.Parallel()
	g := secured()
	for _, tt := range []struct{ next, want string }{
		{"/jobs/1?a=b", "/jobs/1?a=b"}, {"", "/"}, {"jobs", "/"}, {"//evil.example/x", "/"}, {`/\evil.example`, "/evil.example"}, {"https://evil.example/", "/"},
		{"/login", "/"}, {"/logout", "/"}, {"/?token=x", "/"}, {"/%2F%2Fevil.example", "/evil.example"}, {"javascript:alert(1)", "/"},
	} {
		w := signIn(g, " "+secret+"\n", tt.next, nil) // as it is copied from a terminal
		if w.Code != http.StatusSeeOther || w.Header().Get("Location") != tt.want {
			t.Errorf("next %q: %d, %q, want %q", tt.next, w.Code, w.Header().Get("Location"), tt.want)
		}
		c := w.Result().Cookies()
		if len(c) != 1 || !c[0].HttpOnly || c[0].SameSite != http.SameSiteStrictMode || c[0].Path != "/" || c[0].MaxAge != 0 {
			t.Fatalf("cookies %v", c)
		}
		for _, path := range []string{"/", "/api/v1/quantize/events", "/api/v1/quantize/jobs/1/outputs/2/download"} {
			if w := through(g, "GET", "http://localhost"+path, func(r *http.Request) { r.AddCookie(c[0]) }); w.Code != http.StatusNoContent {
				t.Errorf("%s with the cookie: status %d", path, w.Code)
			}
		}
		if w := through(g, "GET", "http://localhost/login?next=/jobs", func(r *http.Request) { browser(r); r.AddCookie(c[0]) }); w.Header().Get("Location") != "/jobs" {
			t.Errorf("signed in already: %d %v", w.Code, w.Header())
		}
		out := through(g, "POST", "http://localhost/logout", func(r *http.Request) { r.AddCookie(c[0]) })
		if gone := out.Result().Cookies(); out.Code != http.StatusSeeOther || len(gone) != 1 || gone[0].MaxAge >= 0 || gone[0].Value != "" {
			t.Errorf("signing out: %d %v", out.Code, gone)
		}
	}
}

// A browser sends a host's cookies to all of its ports.
func TestTwoServersOnOneHostKeepTheirCookies(t *testing.T) {
	t.Parallel()
	names := map[string]string{}
	for _, host := range []string{"localhost:8700", "localhost:8701", "localhost", "[::1]:8702", "localhost:99999", "localhost:8700;x"} {
		w := signIn(secured(), secret, "/", func(r *http.Request) { r.Host = host })
		c := w.Result().Cookies()
		if len(c) != 1 || c[0].Valid() != nil {
			if host == "localhost:8700;x" && len(c) == 0 {
				continue // refused as no host of ours
			}
			t.Fatalf("%s: cookies %v", host, c)
		}
		names[host] = c[0].Name
		for _, to := range []string{"localhost:8700", "localhost:8701", "localhost"} {
			got := through(secured(), "GET", "http://"+to+"/", func(r *http.Request) { r.AddCookie(c[0]) }).Code == http.StatusNoContent
			if want := c[0].Name == map[string]string{"localhost:8700": "nexus_quant_token_8700", "localhost:8701": "nexus_quant_token_8701", "localhost": "nexus_quant_token"}[to]; got != want {
				t.Errorf("the cookie of %s opens %s: %v", host, to, got)
			}
		}
	}
	if names["localhost:8700"] == names["localhost:8701"] || names["localhost:8700"] == names["localhost"] || names["[::1]:8702"] != "nexus_quant_token_8702" {
		t.Errorf("names %v", names)
	}
}

func TestWrongTokensAndOtherSitesDoNotSignIn(t *testing.T) {
	t.Parallel()
	g := secured()
	for _, token := range []string{"", "wrong", secret[:10], secret + "x", strings.ToUpper(secret)} {
		w := signIn(g, token, "/", nil)
		if w.Code != http.StatusUnauthorized || len(w.Result().Cookies()) > 0 || !strings.Contains(w.Body.String(), "not this server") || strings.Contains(w.Body.String(), secret) {
			t.Errorf("%q: %d %v", token, w.Code, w.Header())
		}
	}
	if w := signIn(g, strings.Repeat("x", maxLogin+1), "/", nil); w.Code != http.StatusUnauthorized {
		t.Errorf("a long one: %d", w.Code)
	}
	if w := signIn(g, "wrong", "/", func(r *http.Request) { r.Header.Set("Accept", "*/*") }); w.Header().Get("Content-Type") != "application/json" {
		t.Errorf("a program: %v", w.Header())
	}
	for _, headers := range [][]string{
		{"Sec-Fetch-Site", "cross-site", "Origin", "https://attacker.example"}, {"Sec-Fetch-Site", "same-site", "Origin", "http://localhost:3000"},
		{"Sec-Fetch-Site", "", "Origin", "https://attacker.example"}, {"Sec-Fetch-Site", "", "Origin", "null"},
	} {
		other := func(r *http.Request) {
			for i := 0; i < len(headers); i += 2 {
				if r.Header.Del(headers[i]); headers[i+1] != "" {
					r.Header.Set(headers[i], headers[i+1])
				}
			}
		}
		if w := signIn(g, secret, "/", other); w.Code != http.StatusForbidden || len(w.Result().Cookies()) > 0 {
			t.Errorf("%v signs in: %d", headers, w.Code)
		}
		if w := through(g, "POST", "http://localhost/logout", other); w.Code != http.StatusForbidden || len(w.Result().Cookies()) > 0 {
			t.Errorf("%v signs out: %d", headers, w.Code)
		}
	}
	if w := signIn(g, secret, "/", func(r *http.Request) { r.Host = "rebound.attacker.example" }); w.Code != http.StatusForbidden {
		t.Errorf("another host: %d", w.Code)
	}
}

func TestAServerWithoutATokenNeedsNoSignIn(t *testing.T) {
	t.Parallel()
	g := newGuard(behind, "", allowedHosts(true, "127.0.0.1", nil))
	if w := through(g, "GET", "http://localhost/login?next=/jobs", browser); w.Code != http.StatusSeeOther || w.Header().Get("Location") != "/jobs" {
		t.Errorf("got %d %v", w.Code, w.Header())
	}
	if w := signIn(g, "", "/", nil); w.Code != http.StatusNoContent || len(w.Result().Cookies()) > 0 { // no such address
		t.Errorf("signing in: %d", w.Code)
	}
}
