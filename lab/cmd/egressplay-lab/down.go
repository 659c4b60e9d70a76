package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"
)

// downTimeout is how long the kernel may take to end all processes of a lab.
const downTimeout = 30 * time.Second

func newDown() *cobra.Command {
	return &cobra.Command{
		Use:   "down",
		Short: "End the lab; nothing of it is left",
		Args:  noArgs,
		RunE: on(func(c *cobra.Command, i *instance, _ []string) error {
			ctx, cancel := context.WithTimeoutCause(c.Context(), downTimeout, fmt.Errorf("it was not gone within %v", downTimeout))
			defer cancel()
			was, err := i.stop(ctx)
			if err != nil {
				return err
			}
			if was == nil {
				fmt.Fprintf(c.OutOrStdout(), "lab %s is not running\n", i.name)
				return nil
			}
			fmt.Fprintf(c.OutOrStdout(), "lab %s is gone\n", i.name)
			return nil
		}),
	}
}
