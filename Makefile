# nexus-quant. `make help` lists the targets. `go build` alone is enough to build, `go test ./...` to test.

GO          ?= go
VERSION     ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo devel)
LDFLAGS     := -s -w -X github.com/nexus-quant/nexus-quant/cmd.version=$(VERSION)
CACHE       ?= $(if $(XDG_CACHE_HOME),$(XDG_CACHE_HOME),$(HOME)/.cache)/nexus-quant-dev
ORACLE      := $(CACHE)/llama.cpp-0.5.0
STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.8.2
FUZZTIME    ?= 10s

export CGO_ENABLED = 0

# a pipe fails if any part of it does
SHELL       := /bin/bash
.SHELLFLAGS := -o pipefail -c

.PHONY: help build static test purego race lint interop tui crash golden fuzz bench load cross e2e screenshots vendor-ui ci clean

help: ## list the targets
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  %-11s %s\n", $$1, $$2}'

build: ## build bin/nexus-quant, static
	$(GO) build -trimpath -ldflags "$(LDFLAGS)" -o bin/nexus-quant .

static: build ## build and make sure that the binary needs no library
	@if ldd bin/nexus-quant >/dev/null 2>&1; then echo "error: bin/nexus-quant is linked dynamically" >&2; ldd bin/nexus-quant >&2; exit 1; fi
	@echo "bin/nexus-quant is static, $$(wc -c < bin/nexus-quant) bytes"

test: ## all tests that need nothing but Go
	$(GO) test ./...

purego: ## the same without assembly kernels
	$(GO) test -tags purego ./kernels/... ./quant/...

race: ## the tests of all concurrent code under the race detector (needs a C compiler)
	CGO_ENABLED=1 $(GO) test -race -short ./hf/... ./quant/... ./registry/... ./ui/... ./cmd/...

lint: ## gofmt, go vet, staticcheck
	@bad=$$(gofmt -l $$(git ls-files '*.go')); if [ -n "$$bad" ]; then echo "not gofmt'ed: $$bad" >&2; exit 1; fi
	$(GO) vet ./...
	$(GO) vet -tags interop ./quant/interop/...
	$(GO) vet -tags tui ./ui/tui
	$(GO) run $(STATICCHECK) ./...
	$(GO) run $(STATICCHECK) -tags interop ./quant/interop/...
	$(GO) mod tidy -diff

generate: ## write the assembly kernels anew, and fail if they differ from what is committed
	$(GO) generate ./kernels
	@git diff --exit-code --stat -- 'kernels/*.s' || { echo "error: kernels/_gen writes other kernels/simd_*.s: commit them" >&2; exit 1; }

fma: ## make sure that no kernel holds a fused multiply-add, on arm64 and GOAMD64=v3
	sh kernels/check_fma.sh

arm64: ## the kernels and the formats on an emulated arm64, and NEON's instructions as the GNU assembler has them (Debian)
	command -v qemu-aarch64-static >/dev/null || apt-get install -qy --no-install-recommends qemu-user-static
	command -v aarch64-linux-gnu-as >/dev/null || apt-get install -qy --no-install-recommends binutils-aarch64-linux-gnu
	cd kernels/_gen && $(GO) test ./neon
	GOARCH=arm64 $(GO) test -exec qemu-aarch64-static ./kernels/... ./gguf

interop: ## compare with llama.cpp's own libraries, fetched from npm (Linux x86-64)
	sh quant/interop/install.sh $(ORACLE) >/dev/null
	NEXUS_QUANT_ORACLE=$(ORACLE) $(GO) test -count=1 -timeout 20m -tags interop -v ./quant/interop/... | grep -vE '^=== (RUN|PAUSE|CONT)|^ +--- PASS|^ggml_validate_row_data'

tui: build ## drive the wizard in a real terminal (needs tmux; as root on Debian it is installed)
	@command -v tmux >/dev/null || { [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && apt-get update -q && apt-get install -qy --no-install-recommends tmux; } || \
		{ echo "error: tmux is not installed: apt-get install tmux" >&2; exit 1; }
	NEXUS_QUANT_BINARY=$(CURDIR)/bin/nexus-quant $(GO) test -count=1 -tags tui -v -run OnATerminal ./ui/tui

crash: ## kill 50 runs at random moments and go on with them
	NEXUS_QUANT_CRASHES=50 $(GO) test -count=1 -timeout 30m -run TestKilledJobs -v ./cmd

golden: ## write the golden vectors of the kernels anew from llama.cpp's libraries
	sh quant/interop/install.sh $(ORACLE) >/dev/null
	NEXUS_QUANT_ORACLE=$(ORACLE) $(GO) test -count=1 -tags interop -run Golden ./quant/interop -update

# Go's fuzzer can take its own deadline for a failure when it ends while a worker is busy: it then reports
# "context deadline exceeded" and has no input to show (golang.org/issue/75804). Only a run that names an input has failed.
fuzz: ## run every fuzz target for FUZZTIME
	@set -e; log=$$(mktemp); trap 'rm -f "$$log"' EXIT; \
	for dir in $$(grep -rl --include='*_test.go' '^func Fuzz' . | xargs -n1 dirname | sort -u); do \
		for target in $$(grep -hoE '^func Fuzz[A-Za-z0-9_]+' $$dir/*_test.go | awk '{print $$2}'); do \
			echo "$$dir $$target"; \
			if ! $(GO) test -run '^$$' -fuzz "^$$target$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 50x $$dir >"$$log" 2>&1 && \
				{ grep -q 'Failing input' "$$log" || ! grep -q '^ *context deadline exceeded$$' "$$log"; }; then \
				cat "$$log"; exit 1; \
			fi; \
			grep -E '^fuzz: elapsed' "$$log" | tail -n 1; \
		done; \
	done

bench: ## compare speeds with llama.cpp's own libraries (Linux x86-64, some minutes)
	sh quant/interop/install.sh $(ORACLE) >/dev/null
	NEXUS_QUANT_ORACLE=$(ORACLE) $(GO) run -tags interop ./quant/interop/bench

load: ## the server with 1,000 readers of events and 200 requests a second
	$(GO) test -count=1 -v -run TestLoad ./ui -load

cross: ## build for every platform that is released
	@set -e; for p in linux/amd64 linux/arm64 darwin/amd64 darwin/arm64 windows/amd64 windows/arm64; do \
		echo $$p; GOOS=$${p%/*} GOARCH=$${p#*/} $(GO) build -o /dev/null . ; \
	done

e2e: build ## test the page in a browser (CHROMIUM names another one than Debian's)
	sh ui/e2e/install.sh
	. ui/e2e/node.sh && cd ui/e2e && npm run --silent types && NEXUS_QUANT_BINARY=$(CURDIR)/bin/nexus-quant npm run --silent test

screenshots: build ## write docs/screenshots anew
	sh ui/e2e/install.sh
	. ui/e2e/node.sh && cd ui/e2e && NEXUS_QUANT_BINARY=$(CURDIR)/bin/nexus-quant SCREENSHOTS=1 npm run --silent test

vendor-ui: ## bundle the page's libraries anew from npm; the same versions give the same bytes
	sh ui/e2e/install.sh
	. ui/e2e/node.sh && cd ui/e2e && npm run --silent vendor

ci: lint test purego generate fma arm64 race cross static interop tui e2e fuzz ## everything that CI runs

clean: ## remove what was built
	rm -rf bin
