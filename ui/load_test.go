package ui

import (
	"bufio"
	"flag"
	"io"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

var load = flag.Bool("load", false, "run the load test: make load")

// TestLoad holds 1,000 idle readers of events and asks 200 requests a second beside them.
func TestLoad(t *testing.T) {
	if !*load {
		t.Skip("make load runs it")
	}
	const readers, perSecond, seconds = 1000, 200, 10
	s, _ := listen(t, Options{Addr: "127.0.0.1:0"})
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64, MaxConnsPerHost: 0}}
	before := memory()
	var open sync.WaitGroup
	var bodies []io.Closer
	var mu sync.Mutex
	for range readers {
		open.Go(func() {
			resp, err := client.Get(s.URL() + "/api/v1/quantize/events")
			if err != nil {
				t.Error(err)
				return
			}
			if line, err := bufio.NewReader(resp.Body).ReadString('\n'); err != nil || !strings.HasPrefix(line, "retry") {
				t.Errorf("%q, %v", line, err)
			}
			mu.Lock()
			bodies = append(bodies, resp.Body)
			mu.Unlock()
		})
	}
	open.Wait()
	if _, body := get(t, s.URL()+"/metrics", ""); !strings.Contains(body, "nexus_quant_event_streams 1000\n") {
		t.Error("not all readers are there")
	}
	idle := memory()
	start, cpu := time.Now(), processTime()
	time.Sleep(3 * time.Second)
	idleShare := (processTime() - cpu).Seconds() / time.Since(start).Seconds()

	paths := []string{"/api/v1/quantize/jobs", "/api/v1/quantize/formats", "/api/v1/registry/models", "/healthz", "/api/v1/quantize/formats/gguf/types"}
	times := make([]time.Duration, 0, perSecond*seconds)
	tick := time.NewTicker(time.Second / perSecond)
	defer tick.Stop()
	var requests sync.WaitGroup
	start, cpu = time.Now(), processTime()
	for n := range perSecond * seconds {
		<-tick.C
		requests.Go(func() {
			begun := time.Now()
			resp, err := client.Get(s.URL() + paths[n%len(paths)])
			if err != nil {
				t.Error(err)
				return
			}
			defer resp.Body.Close()
			if _, err := io.Copy(io.Discard, resp.Body); err != nil || resp.StatusCode != http.StatusOK {
				t.Errorf("status %d, %v", resp.StatusCode, err)
			}
			mu.Lock()
			times = append(times, time.Since(begun))
			mu.Unlock()
		})
	}
	requests.Wait()
	took := time.Since(start)
	busyShare := (processTime() - cpu).Seconds() / took.Seconds()
	slices.Sort(times)
	at := func(share float64) time.Duration {
		return times[int(share*float64(len(times)-1))].Round(10 * time.Microsecond)
	}
	t.Logf("%d readers take %.1f MB (client's side included) and %.1f%% of a core while idle", readers, float64(idle-before)/1e6, 100*idleShare)
	t.Logf("%.0f requests/s beside them: median %v, 99%% %v, longest %v, %.0f%% of a core with the client",
		float64(len(times))/took.Seconds(), at(0.5), at(0.99), at(1), 100*busyShare)
	if at(0.99) > time.Second {
		t.Errorf("99%% of the requests within %v, want a second", at(0.99))
	}
	for _, b := range bodies {
		b.Close()
	}
}

func memory() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapInuse + m.StackInuse
}
