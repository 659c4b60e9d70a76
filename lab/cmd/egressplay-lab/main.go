// Command egressplay-lab runs labs: whole Kubernetes clusters with Istio, each in
// namespaces of its own, on this machine. `egressplay lab` is this program.
//
// It is also the first process of a lab and the program that becomes each container;
// its first argument says which of them it is.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"

	httpbin "github.com/mccutchen/go-httpbin/v2/httpbin/cmd"

	"github.com/egressplay/egressplay/lab/cri"
	"github.com/egressplay/egressplay/lab/cri/starter"
	"github.com/egressplay/egressplay/lab/internet"
	"github.com/egressplay/egressplay/lab/sandbox"
)

// version is set by the linker.
var version = "dev"

// The first arguments with which other programs call this one.
const (
	argStarter = "start-container" // to become a container
	argProbe   = "probe-sandbox"   // to try what a lab needs
	argFirst   = "first-process"   // to be the lab
	// and cri.ArgHTTPBin: to be a pod's go-httpbin
)

// Exit codes.
const (
	exitUsage  = 2
	exitFailed = 3
	exitSignal = 128 // plus the signal's number
)

func main() {
	if len(os.Args) > 1 {
		switch os.Args[1] {
		case argStarter: // before anything else: see starter.Start
			starter.Start()
		case argProbe:
			end(sandbox.Probe())
		case argFirst:
			end(firstProcess())
		case cri.ArgHTTPBin:
			os.Args = append(os.Args[:1], os.Args[2:]...)
			os.Exit(httpbin.Main(httpbin.BuildInfo{}))
		}
	}
	ctx := untilSignal()
	code := report(newCommand().ExecuteContext(ctx))
	if sig, ok := context.Cause(ctx).(interrupted); ok && code == exitFailed {
		code = exitSignal + int(sig.Signal.(syscall.Signal))
	}
	os.Exit(code)
}

// untilSignal returns a context that SIGINT or SIGTERM ends, with an
// [interrupted] as its cause. A second one ends the program at once.
func untilSignal() context.Context {
	ctx, cancel := context.WithCancelCause(context.Background())
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go func() {
		sig := <-signals
		signal.Stop(signals)
		cancel(interrupted{sig})
	}()
	return ctx
}

// interrupted is the error of a command that its user stopped.
type interrupted struct{ os.Signal }

func (i interrupted) Error() string { return "interrupted by " + i.String() }

// end ends a process that another program called.
func end(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, plain(err.Error()))
		os.Exit(1)
	}
	os.Exit(0)
}

// report prints an error and returns the exit code that it means.
func report(err error) int {
	var exit exitError
	var failed failure
	switch {
	case err == nil:
		return 0
	case errors.As(err, &exit):
		return int(exit)
	case errors.As(err, &failed):
		fmt.Fprintln(os.Stderr, "egressplay:", plain(failed.Error()))
		return exitFailed
	default: // cobra's own error: it did not understand the command line
		fmt.Fprintln(os.Stderr, "egressplay:", plain(err.Error()))
		return exitUsage
	}
}

// plain returns a text of several lines as a terminal can show it, see
// [internet.Plain]. An error may quote anything, such as the name of a file.
func plain(text string) string {
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		fields := strings.Split(line, "\t")
		for j := range fields {
			fields[j] = internet.Plain(fields[j])
		}
		lines[i] = strings.Join(fields, "\t")
	}
	return strings.Join(lines, "\n")
}

// failure is the error of a verb that could not do its work.
type failure struct{ error }

func (f failure) Unwrap() error { return f.error }

// exitError is an exit code whose reason is already printed.
type exitError int

func (e exitError) Error() string { return fmt.Sprintf("exit code %d", int(e)) }
