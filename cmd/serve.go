package cmd

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/nexus-quant/nexus-quant/quant/jobs"
	"github.com/nexus-quant/nexus-quant/ui"
)

func newServe(a *app) *cobra.Command {
	var o ui.Options
	var allowPaths []string
	var concurrency int
	c := &cobra.Command{
		Use:   "serve",
		Short: "Run jobs in the background and offer the HTTP API",
		Long: `Run queued jobs and offer the HTTP API, whose description is at /docs.

The server listens on this machine alone. On an address that others reach it asks for
a token, which it makes and keeps in a file that only you can read; clients send it as
Authorization: Bearer TOKEN, and a browser shows a page to type it into.

Requests may name files below MODELS_DIR, the output folder and --allow-path, and no
others. Ctrl-C stops the server and keeps what running jobs have done: the next server goes
on with them.`,
		Example: `  nexus-quant serve
  nexus-quant serve --addr 0.0.0.0:8700 --allow-host quant.example.org
  nexus-quant serve --jobs 2 --allow-path /data/models`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			s := a.service.Settings()
			if !c.Flags().Changed("addr") {
				o.Addr = s.Addr
			}
			if o.NeedToken = c.Flags().Changed("token-file"); !o.NeedToken {
				o.TokenFile = filepath.Join(s.Home, "token")
			}
			if o.NeedToken && o.Insecure {
				return &usageError{errors.New("--token-file and --insecure exclude each other")}
			}
			if c.Flags().Changed("jobs") {
				if concurrency < 1 {
					return &usageError{fmt.Errorf("--jobs %d: want 1 or more", concurrency)}
				}
				s.Concurrency = concurrency
			}
			s.AllowPaths = append(s.AllowPaths, allowPaths...)
			o.Version, o.Log = Version(), a.note
			return runServe(c.Context(), a, o)
		},
	}
	f := c.Flags()
	f.StringVar(&o.Addr, "addr", jobs.DefaultAddr, "`HOST:PORT` to listen on; port 0 takes a free one")
	f.StringVar(&o.TokenFile, "token-file", "", "ask for the token in this `FILE`, on this machine too; it is made where it is missing")
	f.BoolVar(&o.Insecure, "insecure", false, "ask for no token, whoever reaches the address")
	f.StringArrayVar(&allowPaths, "allow-path", nil, "`DIR` that requests may name files in; may be repeated")
	f.StringArrayVar(&o.AllowHosts, "allow-host", nil, "`NAME` that the server is reached by; may be repeated")
	f.IntVar(&concurrency, "jobs", 1, "run so many jobs at once")
	return c
}

// serving is what serve prints when it listens.
type serving struct {
	Type      string `json:"type"`
	URL       string `json:"url"`
	TokenFile string `json:"token_file,omitempty"`
	PID       int    `json:"pid"`
}

func runServe(ctx context.Context, a *app, o ui.Options) error {
	server, err := ui.Listen(a.service, o)
	if err != nil {
		return err
	}
	release, err := a.service.Serving(server.URL())
	switch {
	case err == nil:
		defer release()
	case !jobs.IsServed(err): // another server of this registry takes detached jobs already
		return err
	}
	if err := a.announce(server, o); err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return server.Serve(ctx) })
	group.Go(func() error { return a.service.Work(ctx) })
	return group.Wait()
}

// announce says where the server is. The address is the result, so that a script can wait for it.
func (a *app) announce(server *ui.Server, o ui.Options) error {
	s := serving{Type: "serving", URL: server.URL(), PID: os.Getpid()}
	if server.Token() != "" {
		s.TokenFile = o.TokenFile
	}
	if a.json {
		return a.printJSON(s)
	}
	if _, err := fmt.Fprintln(a.out, s.URL); err != nil {
		return err
	}
	if s.TokenFile != "" {
		a.note("the token is in %s", s.TokenFile)
	}
	if server.Open() {
		a.warn("everybody who reaches this address can start and delete jobs")
	}
	a.note("the API is described at %s/docs; Ctrl-C stops and keeps the work of running jobs", s.URL)
	return nil
}
