package hf

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"
)

const (
	maxConnections = 8
	maxRetries     = 5 // in a row without a byte gained
)

// Client reads models from the Hub and keeps them in the cache that Python's huggingface_hub reads.
// It may be used by several goroutines, and several processes may share the cache.
type Client struct {
	settings
	agent   string
	base    *url.URL // the endpoint
	invalid error    // of the environment; told by the first call that needs it
	http    *http.Client
	slots   chan struct{} // one per connection in use
	backoff time.Duration // before the first repetition; it doubles

	pieceSize   int64 // what one request asks for
	recordEvery int64 // what a power cut costs at most

	mu   sync.Mutex
	seen map[[2]string]string // repository and revision to commit
}

// NewClient returns a client that does as the environment says: HF_ENDPOINT, HF_TOKEN and its elder names,
// HF_TOKEN_PATH, HF_HOME, HF_HUB_CACHE, HF_HUB_OFFLINE, HF_HUB_DOWNLOAD_TIMEOUT, HF_HUB_ETAG_TIMEOUT.
// version is the program's, for the User-Agent.
func NewClient(getenv func(string) string, version string) *Client {
	c := &Client{
		settings: readSettings(getenv),
		agent:    "nexus-quant/" + version,
		slots:    make(chan struct{}, maxConnections),
		backoff:  500 * time.Millisecond,

		pieceSize:   64 << 20,
		recordEvery: 32 << 20,
	}
	c.base, c.invalid = c.checkSettings()
	if origin := getenv("HF_HUB_USER_AGENT_ORIGIN"); origin != "" {
		c.agent += "; origin/" + origin
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	// Over HTTP/2 all ranges would share one connection, and a content server gives each its own rate.
	transport.Protocols = new(http.Protocols)
	transport.Protocols.SetHTTP1(true)
	transport.ForceAttemptHTTP2 = false
	transport.DisableCompression = true // ranges count bytes as they are stored
	transport.MaxIdleConnsPerHost = maxConnections
	transport.MaxConnsPerHost = 2 * maxConnections
	c.http = &http.Client{
		Transport:     &authorizer{base: transport, endpoint: c.base, token: c.token, agent: c.agent},
		CheckRedirect: checkRedirect,
	}
	return c
}

// checkSettings refuses an endpoint that is no address and a token that can't stand in a header. Neither is shown: people
// put passwords into addresses, and tokens into the wrong variable.
func (s *settings) checkSettings() (*url.URL, error) {
	u, err := url.Parse(s.endpoint)
	if err != nil || u.Host == "" || u.User != nil || (u.Scheme != "https" && u.Scheme != "http") || u.RawQuery != "" || u.Fragment != "" {
		return &url.URL{}, errors.New("HF_ENDPOINT is not an address like " + defaultEndpoint)
	}
	if strings.ContainsFunc(s.token, func(r rune) bool { return r <= ' ' || r >= 0x7f }) {
		return u, errors.New("the token (HF_TOKEN or the token file) holds a space or another character that no token has")
	}
	return u, nil
}

// CacheDir is the folder that models are kept in, one folder each. It may not exist yet.
func (c *Client) CacheDir() string { return c.cache }

// String names the endpoint. It keeps the token out of whatever prints a client.
func (c *Client) String() string { return "Hub client of " + c.endpoint }

// GoString is String.
func (c *Client) GoString() string { return c.String() }

// authorizer adds the token to requests for the endpoint itself. It does so request by request, below the
// redirects, so that none of them can carry the token to another scheme, host or port. (net/http would
// keep an Authorization header on the way to a subdomain or another port.)
type authorizer struct {
	base     http.RoundTripper
	endpoint *url.URL
	token    string
	agent    string
}

func (a *authorizer) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("User-Agent", a.agent)
	r.Header.Del("Referer") // net/http's, on redirects
	if a.token != "" && sameOrigin(r.URL, a.endpoint) {
		r.Header.Set("Authorization", "Bearer "+a.token)
	}
	return a.base.RoundTrip(r)
}

func sameOrigin(a, b *url.URL) bool {
	return a.Scheme == b.Scheme && strings.EqualFold(a.Host, b.Host)
}

// errRedirect is a redirect that isn't followed.
var errRedirect = errors.New("redirect refused")

func checkRedirect(r *http.Request, via []*http.Request) error {
	if len(via) >= 10 {
		return fmt.Errorf("%w: more than 10 in a row", errRedirect)
	}
	if via[0].URL.Scheme == "https" && r.URL.Scheme != "https" {
		return fmt.Errorf("%w: from https to %s", errRedirect, r.URL.Scheme)
	}
	return nil
}

// get asks once for a URL, or for a part of it (byteRange "bytes=0-99"; "" for all), and gives the answer if
// its status is 200 or 206. Everything that a repetition may cure is a *transientError, also from the
// body's Read; any other status is a *statusError. timeout bounds the time without a byte, not the whole.
func (c *Client) get(ctx context.Context, address, byteRange string, timeout time.Duration) (*http.Response, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	w := &watched{ctx: ctx, cancel: cancel, timeout: timeout}
	w.timer = time.AfterFunc(timeout, func() { cancel(errStalled) })
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		cancel(nil)
		return nil, fmt.Errorf("request to the Hub: %w", withoutURL(err))
	}
	if byteRange != "" {
		r.Header.Set("Range", byteRange)
	}
	resp, err := c.http.Do(r)
	w.timer.Stop()
	if err != nil {
		err = w.explain(err)
		cancel(nil)
		return nil, err
	}
	w.body, resp.Body = resp.Body, w
	if resp.StatusCode == http.StatusOK || resp.StatusCode == http.StatusPartialContent {
		return resp, nil
	}
	defer resp.Body.Close()
	return nil, newStatusError(resp, c.base)
}

var errStalled = errors.New("no answer in time")

// watched is a response's body that ends with errStalled when no byte comes for too long.
type watched struct {
	ctx     context.Context
	cancel  context.CancelCauseFunc
	body    io.ReadCloser
	timer   *time.Timer
	timeout time.Duration
}

func (w *watched) Read(p []byte) (int, error) {
	w.timer.Reset(w.timeout) // the clock runs while the network is waited for, not the disk
	n, err := w.body.Read(p)
	w.timer.Stop()
	if err != nil && err != io.EOF {
		err = w.explain(err)
	}
	return n, err
}

func (w *watched) Close() error {
	w.timer.Stop()
	w.cancel(nil)
	return w.body.Close()
}

// explain sorts an error of the network.
func (w *watched) explain(err error) error {
	switch cause := context.Cause(w.ctx); {
	case cause == errStalled:
		return &transientError{err: fmt.Errorf("no byte for %v", w.timeout)}
	case cause != nil:
		return cause
	}
	err = withoutURL(err)
	var dns *net.DNSError
	var cert *tls.CertificateVerificationError
	if errors.Is(err, errRedirect) || errors.As(err, &cert) {
		return err
	}
	if errors.As(err, &dns) && dns.IsNotFound {
		return &networkError{err}
	}
	return &transientError{err: err}
}

// withoutURL takes the URL out of an error: those of content servers are signed, which is as good as a password.
func withoutURL(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		return u.Err
	}
	return err
}

// networkError is a host that can't be reached.
type networkError struct{ error }

func (e *networkError) Unwrap() error { return e.error }

// statusError is an answer that is not the file.
type statusError struct {
	status        int
	host          string
	foreign       bool          // not the Hub's own
	code, message string        // X-Error-Code and X-Error-Message of the Hub
	after         time.Duration // how long to wait before asking again; 0 if not said
}

// newStatusError also says whether another try may help. A refusal by a host that the Hub redirected to means that the
// signed address has run out: the next try asks the Hub for a fresh one.
func newStatusError(resp *http.Response, endpoint *url.URL) error {
	e := &statusError{
		status: resp.StatusCode, host: resp.Request.URL.Host,
		code: resp.Header.Get("X-Error-Code"), message: resp.Header.Get("X-Error-Message"),
		after: retryAfter(resp.Header, time.Now()),
	}
	e.foreign = !sameOrigin(resp.Request.URL, endpoint)
	if e.status >= 500 || e.status == http.StatusTooManyRequests || e.status == http.StatusRequestTimeout || e.foreign {
		return &transientError{err: e, after: e.after}
	}
	return e
}

func (e *statusError) Error() string {
	s := fmt.Sprintf("%s answered %d %s", e.host, e.status, http.StatusText(e.status))
	if e.message != "" {
		s += fmt.Sprintf(" (%.200q)", e.message) // quoted: it is foreign text on its way to a terminal
	}
	return s
}

// retryAfter reads Retry-After, in seconds or as a date, and the "t" of the Hub's own RateLimit header.
func retryAfter(h http.Header, now time.Time) time.Duration {
	const most = 365 * 24 * 3600
	v := h.Get("Retry-After")
	if n, err := strconv.Atoi(v); err == nil && n >= 0 {
		return time.Duration(min(n, most)) * time.Second
	}
	if t, err := http.ParseTime(v); err == nil {
		return max(t.Sub(now), 0)
	}
	for part := range strings.SplitSeq(h.Get("RateLimit"), ";") {
		if t, ok := strings.CutPrefix(strings.TrimSpace(part), "t="); ok {
			if n, err := strconv.Atoi(t); err == nil && n >= 0 {
				return time.Duration(min(n, most)) * time.Second
			}
		}
	}
	return 0
}

// HasToken tells whether there is a token, not what it is.
func (c *Client) HasToken() bool { return c.token != "" }
