package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/egressplay/egressplay/lab/cri"
	"github.com/egressplay/egressplay/lab/image"
)

func newLoad() *cobra.Command {
	type line struct{ file, as string }
	c := &cobra.Command{
		Use:   "load ARCHIVE",
		Short: "Make an image of the lab from an archive, - for stdin",
		Long: `Make an image of the lab from an archive, - for stdin.

The archive is what docker save or podman save writes, an OCI layout in a tar, or the tar of
a root file system; each may be compressed by gzip. All of it is checked before anything is
made. Pods can use the image when the command returns. It is kept in the lab's memory and
ends with the lab.`,
		Example: `  docker save my-app:1 | egressplay lab load -
  egressplay lab load --as my-app:2 rootfs.tar.gz`,
		Args: exactlyOne("an archive, or - for stdin"),
		RunE: after(func(c *cobra.Command, args []string) (l line, err error) {
			l.file = args[0]
			if _, err := os.Stat(l.file); l.file != "-" && errors.Is(err, fs.ErrNotExist) {
				return l, usagef("name an archive that docker save or podman save has written", "%s: no such file", l.file)
			}
			if l.as, err = c.Flags().GetString("as"); err != nil || l.as == "" {
				return l, err
			}
			if _, err := image.Reference(l.as); err != nil {
				return l, fmt.Errorf("--as: %w", err)
			}
			return l, nil
		}, func(c *cobra.Command, i *instance, l line) (err error) {
			lab, err := i.dial()
			if err != nil {
				return err
			}
			archive, err := image.Open(c.Context(), l.file, c.InOrStdin(), l.as)
			if err != nil {
				return fmt.Errorf("nothing was loaded: %w", err)
			}
			defer func() { err = errors.Join(err, archive.Close()) }()
			for _, im := range archive.Images {
				info, err := lab.LoadImage(c.Context(), im)
				if err != nil {
					return fmt.Errorf("%s was not loaded: %w", familiar(im.Names), err)
				}
				printLoaded(c.OutOrStdout(), info)
			}
			return nil
		}),
	}
	c.Flags().String("as", "", "the image's `NAME`, in place of the one in the archive")
	return c
}

// familiar returns the names of an image in their usual short form.
func familiar(names []string) string {
	list := make([]string, len(names))
	for i, name := range names {
		list[i] = image.Familiar(name)
	}
	return strings.Join(list, ", ")
}

func printLoaded(out io.Writer, info cri.ImageInfo) {
	fmt.Fprintf(out, "loaded %s, %s\n", plain(familiar(info.Names)), image.Size(int64(info.Size)))
	if info.InPlaceOf != "" {
		fmt.Fprintf(out, "  pods that ask for it get it in place of the lab's own image %s\n", info.InPlaceOf)
	}
}
