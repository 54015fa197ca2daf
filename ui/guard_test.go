package ui

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

const secret = "a-token-of-some-length"

// through sends a request to a guard and tells the status; 204 means that it got through.
func through(g *guard, method, target string, change func(*http.Request)) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, target, nil)
	if change != nil {
		change(r)
	}
	w := httptest.NewRecorder()
	g.ServeHTTP(w, r)
	return w
}

var behind = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })

func TestOnlyKnownHostsGetThrough(t *testing.T) {
	t.Parallel()
	local := newGuard(behind, "", allowedHosts(true, "127.0.0.1", []string{"Quant.Example.ORG"}))
	public := newGuard(behind, "", allowedHosts(false, "0.0.0.0", nil))
	for _, tt := range []struct {
		host          string
		local, public bool
	}{
		{"localhost", true, true},
		{"localhost:8700", true, true},
		{"LOCALHOST.:8700", true, true},
		{"127.0.0.1:8700", true, true},
		{"[::1]:8700", true, true},
		{"[::1]", true, true},
		{"quant.example.org", true, false},
		{"quant.example.org:443", true, false},
		{"192.168.1.7:8700", false, true}, // an address can't be made to point elsewhere
		{"rebound.attacker.example", false, false},
		{"rebound.attacker.example:8700", false, false},
		{"localhost.attacker.example", false, false},
		{"127.0.0.1.attacker.example", false, false},
		{"localhost@attacker.example", false, false},
		{"[fe80::1%25lo]:8700", false, false},
		{"2130706433", false, false}, // 127.0.0.1 as one number: a name to us
		{"", false, false},
	} {
		for g, want := range map[*guard]bool{local: tt.local, public: tt.public} {
			w := through(g, "GET", "/healthz", func(r *http.Request) { r.Host = tt.host })
			if got := w.Code == http.StatusNoContent; got != want || !got && w.Code != http.StatusForbidden {
				t.Errorf("host %q (local %v): status %d, want through %v", tt.host, g == local, w.Code, want)
			}
		}
	}
}

func TestOtherSitesAreRefused(t *testing.T) {
	t.Parallel()
	g := newGuard(behind, "", allowedHosts(true, "127.0.0.1", nil))
	for _, tt := range []struct {
		name, method string
		headers      []string
		want         bool
	}{
		{"a program", "POST", nil, true},
		{"our page", "POST", []string{"Sec-Fetch-Site", "same-origin", "Origin", "http://localhost:8700"}, true},
		{"our page, old browser", "POST", []string{"Origin", "http://localhost:8700"}, true},
		{"another site", "POST", []string{"Sec-Fetch-Site", "cross-site", "Origin", "https://attacker.example"}, false},
		{"another site, old browser", "POST", []string{"Origin", "https://attacker.example"}, false},
		{"another port of this machine", "POST", []string{"Sec-Fetch-Site", "same-site", "Origin", "http://localhost:3000"}, false},
		{"a sandboxed frame", "POST", []string{"Origin", "null"}, false},
		{"a form of another site", "POST", []string{"Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "navigate"}, false},
		{"another site deletes", "DELETE", []string{"Sec-Fetch-Site", "cross-site"}, false},
		{"a picture of another site", "GET", []string{"Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "no-cors"}, false},
		{"a fetch of another port", "GET", []string{"Sec-Fetch-Site", "same-site", "Sec-Fetch-Mode", "cors"}, false},
		{"a link that is followed", "GET", []string{"Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "navigate"}, true},
		{"the address bar", "GET", []string{"Sec-Fetch-Site", "none", "Sec-Fetch-Mode", "navigate"}, true},
		{"a preflight", "OPTIONS", []string{"Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "cors", "Origin", "https://attacker.example", "Access-Control-Request-Method", "POST"}, false},
	} {
		w := through(g, tt.method, "http://localhost:8700/api/v1/quantize/jobs", func(r *http.Request) {
			for i := 0; i < len(tt.headers); i += 2 {
				r.Header.Set(tt.headers[i], tt.headers[i+1])
			}
		})
		if got := w.Code == http.StatusNoContent; got != tt.want || !got && w.Code != http.StatusForbidden {
			t.Errorf("%s: status %d, want through %v", tt.name, w.Code, tt.want)
		}
		for name := range w.Header() {
			if strings.HasPrefix(name, "Access-Control-") {
				t.Errorf("%s: %s is set", tt.name, name)
			}
		}
	}
}

func TestTheTokenIsAskedFor(t *testing.T) {
	t.Parallel()
	g := newGuard(behind, secret, allowedHosts(false, "0.0.0.0", nil))
	for _, tt := range []struct {
		name, header string
		want         bool
	}{
		{"the token", "Bearer " + secret, true},
		{"another case", "bearer " + secret, true},
		{"nothing", "", false},
		{"an empty one", "Bearer ", false},
		{"a wrong one", "Bearer b-token-of-some-length", false},
		{"the beginning", "Bearer " + secret[:10], false},
		{"more than it", "Bearer " + secret + "x", false},
		{"another scheme", "Basic " + secret, false},
		{"no scheme", secret, false},
	} {
		for _, path := range []string{"/", "/healthz", "/metrics", "/openapi.json", "/api/v1/quantize/jobs"} {
			w := through(g, "GET", "http://localhost"+path, func(r *http.Request) { r.Header.Set("Authorization", tt.header) })
			if got := w.Code == http.StatusNoContent; got != tt.want {
				t.Errorf("%s, %s: status %d, want through %v", tt.name, path, w.Code, tt.want)
			}
			if !tt.want && (w.Code != http.StatusUnauthorized || w.Header().Get("WWW-Authenticate") == "" || strings.Contains(w.Body.String(), secret)) {
				t.Errorf("%s: %d, %v, %s", tt.name, w.Code, w.Header(), w.Body)
			}
		}
	}
}

func TestALinkWithTheTokenLetsABrowserIn(t *testing.T) {
	t.Parallel()
	g := newGuard(behind, secret, allowedHosts(false, "0.0.0.0", nil))
	w := through(g, "GET", "http://localhost//evil.example/x?token="+secret+"&a=b", nil)
	if w.Code != http.StatusSeeOther || w.Header().Get("Location") != "/evil.example/x?a=b" {
		t.Fatalf("status %d, %v", w.Code, w.Header())
	}
	cookies := w.Result().Cookies()
	if len(cookies) != 1 || !cookies[0].HttpOnly || cookies[0].SameSite != http.SameSiteStrictMode || cookies[0].Value != secret {
		t.Fatalf("cookies %v", cookies)
	}
	if w := through(g, "GET", "http://localhost/api/v1/quantize/events", func(r *http.Request) { r.AddCookie(cookies[0]) }); w.Code != http.StatusNoContent {
		t.Errorf("with the cookie: status %d", w.Code)
	}
	for _, target := range []string{"http://localhost/?token=wrong", "http://localhost/?token="} {
		if w := through(g, "GET", target, nil); w.Code != http.StatusUnauthorized || len(w.Result().Cookies()) > 0 {
			t.Errorf("%s: status %d, %v", target, w.Code, w.Header())
		}
	}
	if w := through(g, "POST", "http://localhost/?token="+secret, nil); w.Code != http.StatusUnauthorized {
		t.Errorf("a write by link: status %d", w.Code)
	}
}
