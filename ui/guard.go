package ui

import (
	"crypto/sha256"
	"crypto/subtle"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/nexus-quant/nexus-quant/ui/api"
)

// serverName stands in every answer, so that a second server knows the first.
const serverName = "nexus-quant"

// guard decides who gets through: the right host, the same origin, the token. The rules are those of the page
// docs/api.md, "Safety".
type guard struct {
	next    http.Handler
	token   [sha256.Size]byte
	secured bool
	hosts   hosts
	origins *http.CrossOriginProtection
}

func newGuard(next http.Handler, token string, hosts hosts) *guard {
	return &guard{next: next, token: sha256.Sum256([]byte(token)), secured: token != "", hosts: hosts, origins: http.NewCrossOriginProtection()}
}

func (g *guard) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Server", serverName)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	if refusal := g.foreign(r); refusal != nil {
		h.Set("Connection", "close") // what follows a refused request is not read
		api.WriteError(w, r, refusal)
		return
	}
	if g.session(w, r) {
		return
	}
	if g.secured && !g.known(r) && !public[r.URL.Path] {
		g.askToken(w, r)
		return
	}
	if g.linked(w, r) {
		return
	}
	if r.Body != nil && r.Body != http.NoBody {
		_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(bodyTime))
		r.Body = http.MaxBytesReader(w, r.Body, maxBodySize)
	}
	g.next.ServeHTTP(w, r)
}

// foreign refuses who calls the server by another name, and what pages of other sites do.
func (g *guard) foreign(r *http.Request) *api.Error {
	if !g.hosts.allow(r.Host) {
		return &api.Error{Status: http.StatusForbidden, Detail: "host " + quoted(r.Host) + " is not allowed", Hint: "serve --allow-host NAME adds a name"}
	}
	if err := g.origins.Check(r); err != nil {
		return &api.Error{Status: http.StatusForbidden, Detail: "requests from other sites are refused"}
	}
	if fetchedElsewhere(r) {
		return &api.Error{Status: http.StatusForbidden, Detail: "requests from other sites are refused"}
	}
	return nil
}

// askToken refuses a request without the token: people get a page to type it into, programs are told how to send it.
func (g *guard) askToken(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("WWW-Authenticate", `Bearer realm="nexus-quant"`)
	if (r.Method == http.MethodGet || r.Method == http.MethodHead) && wantsPage(r) {
		showLogin(w, http.StatusUnauthorized, localAddress(r.URL.RequestURI()), r.URL.Query().Has("token"))
		return
	}
	h.Set("Connection", "close")
	api.WriteError(w, r, &api.Error{Status: http.StatusUnauthorized, Detail: "a token is needed", Hint: "send Authorization: Bearer TOKEN; the server printed where the token is"})
}

// fetchedElsewhere tells of pictures, scripts and fetches that a page of another site points at this server. It would
// not get to see the answers, but looking at a model has a price. A link that is followed is no such thing.
func fetchedElsewhere(r *http.Request) bool {
	site := r.Header.Get("Sec-Fetch-Site")
	return (site == "cross-site" || site == "same-site") && r.Header.Get("Sec-Fetch-Mode") != "navigate"
}

// tokenCookie names the cookie that lets a browser in, which can't send headers with event streams and downloads. Cookies
// are of a host, whatever the port: the port that the browser called is part of the name, so that two servers on one
// host don't overwrite each other's.
func tokenCookie(r *http.Request) string {
	const name = "nexus_quant_token"
	_, port, err := net.SplitHostPort(r.Host)
	if err != nil {
		return name // the scheme's own port
	}
	if n, err := strconv.ParseUint(port, 10, 16); err == nil {
		return name + "_" + strconv.FormatUint(n, 10)
	}
	return name
}

// known tells whether a request shows the token.
func (g *guard) known(r *http.Request) bool {
	shown := ""
	if kind, value, ok := strings.Cut(r.Header.Get("Authorization"), " "); ok && strings.EqualFold(kind, "bearer") {
		shown = strings.TrimSpace(value)
	} else if c, err := r.Cookie(tokenCookie(r)); err == nil {
		shown = c.Value
	} else if r.Method == http.MethodGet {
		shown = r.URL.Query().Get("token")
	}
	return g.matches(shown)
}

// matches compares with the token: hashes, so that time says nothing of content or length.
func (g *guard) matches(shown string) bool {
	sum := sha256.Sum256([]byte(shown))
	return subtle.ConstantTimeCompare(sum[:], g.token[:]) == 1
}

// linked turns a link with ?token= into a cookie and the same address without it.
func (g *guard) linked(w http.ResponseWriter, r *http.Request) bool {
	q := r.URL.Query()
	if !g.secured || r.Method != http.MethodGet || !q.Has("token") {
		return false
	}
	if g.matches(q.Get("token")) {
		g.setCookie(w, r, q.Get("token"), 0)
	}
	redirect(w, r, localAddress("/"+strings.TrimLeft(r.URL.RequestURI(), "/")))
	return true
}

// hosts are the names under which a server answers. A page whose name is made to point at this machine (DNS
// rebinding) calls under its own name, and gets nothing.
type hosts struct {
	names map[string]bool
	local bool // only addresses of this machine itself, else any address: no name, nothing to rebind
}

func allowedHosts(loopback bool, bound string, extra []string) hosts {
	h := hosts{names: map[string]bool{"localhost": true}, local: loopback}
	for _, name := range append([]string{bound}, extra...) {
		if name = strings.ToLower(strings.TrimSuffix(name, ".")); name != "" {
			h.names[name] = true
		}
	}
	return h
}

func (h hosts) allow(host string) bool {
	name := host
	if n, _, err := net.SplitHostPort(host); err == nil {
		name = n
	}
	name = strings.ToLower(strings.TrimSuffix(strings.TrimSuffix(strings.TrimPrefix(name, "["), "]"), "."))
	if h.names[name] {
		return true
	}
	ip, err := netip.ParseAddr(name)
	return err == nil && ip.Zone() == "" && (ip.IsLoopback() || !h.local)
}

// quoted shows a text from outside, cut to a bearable length.
func quoted(s string) string {
	const limit = 80
	if len(s) > limit {
		s = s[:limit] + "..."
	}
	return `"` + strings.ToValidUTF8(s, "?") + `"`
}
