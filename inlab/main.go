package inlab

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
)

// Main runs a tool and ends the process: with 0 if everything was as it has to be, 1 if
// it was not, and 2 if run returns an error, which Main prints. An interrupt or SIGTERM
// ends the context, a second one the process.
func Main(name string, run func(ctx context.Context, args []string, w io.Writer) (good bool, err error)) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)
	good, err := run(ctx, os.Args[1:], os.Stdout)
	switch {
	case errors.Is(err, flag.ErrHelp):
	case err != nil:
		fmt.Fprintln(os.Stderr, name+":", err)
		os.Exit(2)
	case !good:
		os.Exit(1)
	}
}
