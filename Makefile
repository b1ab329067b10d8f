# coracle: everything a person types. `make run` and `make test` set themselves up on a fresh Debian or Ubuntu.
SHELL := /bin/bash
PREFIX ?= /usr/local
DESTDIR ?=
LINKS ?=
HOST := $(shell rustc -vV 2>/dev/null | sed -n 's/^host: //p')
BINARY := target/$(HOST)/release/coracle

.PHONY: run build test lint bench install
run: build        ## build, and run a container from the image built into the program
	scripts/setup run
	@echo; $(BINARY) run --rm coracle/hello

build:
	scripts/setup build
	cargo build --locked --release -p coracle

test:             ## unit tests, then whole-program tests as root (if we are) and as an ordinary user
	scripts/setup test
	scripts/test

lint:
	cargo fmt --all --check
	cargo clippy --locked --workspace --all-targets

bench: build      ## race against podman and crun, and print a table
	scripts/setup bench
	scripts/bench

install: build    ## make install PREFIX=/usr LINKS=podman,docker
	install -D -m 0755 $(BINARY) $(DESTDIR)$(PREFIX)/bin/coracle
	install -d $(DESTDIR)$(PREFIX)/share/bash-completion/completions $(DESTDIR)$(PREFIX)/share/zsh/site-functions $(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d
	$(BINARY) completion bash > $(DESTDIR)$(PREFIX)/share/bash-completion/completions/coracle
	$(BINARY) completion zsh > $(DESTDIR)$(PREFIX)/share/zsh/site-functions/_coracle
	$(BINARY) completion fish > $(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d/coracle.fish
	$(BINARY) man-pages $(DESTDIR)$(PREFIX)/share/man/man1
	for link in $$(echo "$(LINKS)" | tr , ' '); do ln -sf coracle $(DESTDIR)$(PREFIX)/bin/$$link; done
