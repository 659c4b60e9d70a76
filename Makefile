# egressplay is four Go modules; all that is built goes to bin/.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.NOTPARALLEL:
.DEFAULT_GOAL := help

VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
VERSION := $(VERSION)

MODULES := . lab lab/coredns release
STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.8.2

# The programs of the lab that link Kubernetes and Istio: minutes to compile in
# another way, so they are left out where that would be needed.
LINKED := /cmd/egressplay-(agent|components|etcd|istiod)$$

# Everything is compiled in one way, so that go's cache serves build, vet and test.
GO := env CGO_ENABLED=0 go
FLAGS := -trimpath -buildvcs=false
LAB_TEST := $(FLAGS) -count=1 -p 1 -timeout 45m -tags lab
phase := @$(CURDIR)/scripts/phase

# What the linked-in programs say of themselves.
pinned = $(shell sed -n 's/^\t$(1) *= "\([^"]*\)".*/\1/p' lab/versions.go)
KUBERNETES := $(call pinned,Kubernetes)
ISTIO := $(call pinned,Istio)
K8S := k8s.io/component-base/version
LINKED_VERSIONS := -X $(K8S).gitVersion=$(KUBERNETES) -X $(K8S).gitMajor=1 -X $(K8S).gitMinor=$(word 2,$(subst ., ,$(KUBERNETES))) \
	-X istio.io/istio/pkg/version.buildVersion=$(ISTIO) -X istio.io/istio/pkg/version.buildStatus=Clean

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-20s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: demo
demo: setup build ## set up, build, and run the TLS-origination tutorial in a lab of its own
	$(phase) "run the tutorial" bin/egressplay run tls-origination.yaml

.PHONY: setup
setup: ## install what this machine lacks (as root), and get Envoy
	$(phase) "look for what is missing on this machine" scripts/setup

.PHONY: setup-test
setup-test:
	$(phase) "look for what is missing on this machine" scripts/setup test
	$(phase) "get the images nginx and squid" scripts/images

# make release builds for other machines into other folders.
BIN := bin
EXE :=
BUILT := $(abspath $(BIN))

.PHONY: build
build: build-egressplay ## build all programs into bin/; the first time takes about 10 minutes
	@[ -e $(BUILT)/egressplay-components ] || echo "The first build compiles Kubernetes and Istio: about 10 minutes on 2 cores, 4 GB of memory, 12 GB of disk for Go's caches."
	$(phase) "build egressplay-lab" $(GO) build -C lab $(FLAGS) -ldflags "-s -w -X main.version=$(VERSION)" -o $(BUILT)/egressplay-lab ./cmd/egressplay-lab
	$(phase) "take the Gateway API's kinds from their module" scripts/gateway-api $(BUILT)
	$(phase) "build egressplay-coredns" $(GO) build -C lab/coredns $(FLAGS) -ldflags "-s -w" -o $(BUILT)/egressplay-coredns .
	$(phase) "build egressplay-etcd" $(GO) build -C lab $(FLAGS) -ldflags "-s -w" -o $(BUILT)/egressplay-etcd ./cmd/egressplay-etcd
	$(phase) "build egressplay-agent (Istio)" $(GO) build -C lab $(FLAGS) -ldflags "-s -w $(LINKED_VERSIONS)" -o $(BUILT)/egressplay-agent ./cmd/egressplay-agent
	$(phase) "build egressplay-istiod (Istio)" $(GO) build -C lab $(FLAGS) -ldflags "-s -w $(LINKED_VERSIONS)" -o $(BUILT)/egressplay-istiod ./cmd/egressplay-istiod
	$(phase) "build egressplay-components (Kubernetes)" $(GO) build -C lab $(FLAGS) -ldflags "-s -w $(LINKED_VERSIONS)" -o $(BUILT)/egressplay-components ./cmd/egressplay-components

.PHONY: build-egressplay
build-egressplay: ## build egressplay alone, for a cluster of yours
	@mkdir -p $(BUILT)
	$(phase) "build egressplay" $(GO) build $(FLAGS) -ldflags "-s -w -X main.version=$(VERSION)" -o $(BUILT)/egressplay$(EXE) ./cmd/egressplay

.PHONY: release
release: ## archives, image, lists of parts and checksums into dist/; VERSION=v1.2.3; it compiles the lab for amd64 and arm64
	$(phase) "make the release $(VERSION)" $(GO) run -C release . -version '$(VERSION)' -out $(CURDIR)/dist

.PHONY: release-test
release-test: build ## unpack, install and run what make release has made in dist/
	$(phase) "test the release" env EGRESSPLAY_RELEASE=$(CURDIR)/dist $(GO) test -C release $(LAB_TEST) ./...

PREFIX ?= /usr/local
.PHONY: install
install: ## copy what was built to PREFIX (/usr/local): bin, libexec/egressplay, share; DESTDIR is put in front
	@FROM=$(BIN) MAN_FROM= EXE= PREFIX='$(PREFIX)' DESTDIR='$(DESTDIR)' scripts/install

.PHONY: uninstall
uninstall: ## remove what make install has copied there
	@PREFIX='$(PREFIX)' DESTDIR='$(DESTDIR)' scripts/install uninstall

.PHONY: images
images: ## get the images nginx and squid, from this Debian's packages; nothing is installed
	$(phase) "get the images nginx and squid" scripts/images

# Tests with labs wait most of the time: those of the two users run side by side.
.PHONY: test
test: setup-test build test-unit ## everything, the lab included; a missing lab fails
	@scripts/beside '$(MAKE) labs-of-ordinary-user' '$(MAKE) labs-of-this-user'

# What these two run is built already: they do not build it at the same time.
.PHONY: labs-of-this-user
labs-of-this-user:
	$(phase) "test with labs: lab" $(GO) test -C lab $(LAB_TEST) ./...
	$(phase) "make, unpack and run a release of this machine" $(GO) test -C release $(LAB_TEST) ./...
	$(phase) "test with labs: egressplay" $(GO) test $(LAB_TEST) ./...

.PHONY: labs-of-ordinary-user
labs-of-ordinary-user:
ifeq ($(shell id -u),0)
	@cd lab && packages=$$(grep -rl '^//go:build lab' --include='*_test.go' . | xargs -n 1 dirname | sort -u) && \
	../scripts/phase "test with labs as an ordinary user: lab" $(GO) test $(LAB_TEST) -exec $(CURDIR)/scripts/as-ordinary-user $$packages
	$(phase) "test with labs as an ordinary user: egressplay" $(GO) test $(LAB_TEST) -exec $(CURDIR)/scripts/as-ordinary-user ./e2e
endif

.PHONY: test-unit
test-unit: ## no lab, no root, no network; with the race detector
	$(phase) "unit tests: egressplay" go test -race ./...
	@cd lab && packages=$$(go list ./... | grep -Ev '$(LINKED)') && ../scripts/phase "unit tests: lab" go test -race $$packages

# Without root, test itself runs them as an ordinary user.
.PHONY: test-ordinary-user
test-ordinary-user: build labs-of-ordinary-user ## as root: the tests with labs as an ordinary user, made for it

# The tests of e2e that take only a sample in make test: here they take everything.
LONG = TestCorpusPages|TestShownCommandsCanBePasted|TestTutorials|TestPlaybooksPassWithTheLeastRoles|TestARunThatIsKilledAtAnyPointIsPutBack

.PHONY: test-long
test-long: setup-test build images ## with a lab, what takes hours: all pages, all shown commands, a kill at each point of each playbook; LONG='TEST|TEST'
	$(phase) "tests that take long" env EGRESSPLAY_E2E_CORPUS=all EGRESSPLAY_E2E_PASTE=all EGRESSPLAY_E2E_TUTORIALS=all \
		EGRESSPLAY_E2E_RBAC=all EGRESSPLAY_E2E_KILL=all $(GO) test $(LAB_TEST) -timeout 6h -v -run '^($(LONG))$$' ./e2e

.PHONY: bench
bench: build ## what a step costs, in process and in a lab
	$(GO) run $(FLAGS) ./bench

MUTATE ?= playbooks
.PHONY: mutate
mutate: build ## look for steps of the playbooks that nothing checks; MUTATE='FLAGS FILE...'
	$(GO) run $(FLAGS) ./mutate $(MUTATE)

DECEIVE ?=
.PHONY: deceive
deceive: build images ## try to deceive the expectations, in worlds of deceive/worlds; DECEIVE='FLAGS FILE...'
	$(GO) run $(FLAGS) ./deceive $(DECEIVE)

CORPUS ?= ../shared/corpus
.PHONY: pages
pages: ## count how much of the pages of a folder can be run as they stand; CORPUS=FOLDER
	$(GO) run $(FLAGS) ./pages/census $(CORPUS)

FUZZTIME ?= 30s
.PHONY: fuzz
fuzz: ## try random input, FUZZTIME (30s) for each fuzz test
	@for package in $$(go list ./...); do \
		for fuzz in $$(go test -list '^Fuzz' $$package | grep '^Fuzz' || true); do \
			go test -run '^$$' -fuzz "^$$fuzz\$$" -fuzztime $(FUZZTIME) $$package; \
		done; \
	done

.PHONY: lint
lint: ## gofmt, vet, staticcheck, go mod tidy and cross-builds, for every module
	@files=$$(git ls-files -co --exclude-standard '*.go' | xargs gofmt -l) && [ -z "$$files" ] || { echo "run gofmt -w on:" $$files; exit 1; }
	@for m in $(MODULES); do \
		scripts/phase "vet $$m" $(GO) vet -C $$m $(FLAGS) ./...; \
		scripts/phase "vet $$m, with labs" $(GO) vet -C $$m $(FLAGS) -tags lab ./...; \
		scripts/phase "go.mod and go.sum of $$m" go mod tidy -C $$m -diff; \
		( cd $$m && $(CURDIR)/scripts/phase "staticcheck $$m" $(GO) run $(STATICCHECK) -tags lab $$(go list -tags lab ./... | grep -Ev '$(LINKED)') ); \
	done
	@for os in linux darwin windows; do for arch in amd64 arm64; do \
		GOOS=$$os GOARCH=$$arch scripts/phase "egressplay for $$os/$$arch" $(GO) build $(FLAGS) -o /dev/null ./cmd/egressplay; \
	done; done
	@for arch in amd64 arm64; do \
		GOARCH=$$arch scripts/phase "egressplay-lab for linux/$$arch" $(GO) build -C lab $(FLAGS) -o /dev/null ./cmd/egressplay-lab; \
	done

.PHONY: clean
clean: ## remove what was built and downloaded; Go's own caches stay
	rm -rf bin dist .cache
