// Command release makes the files of a release: an archive for each platform, the lab's
// archives, an image, a list of the parts of each, checksums, and the manifest with
// which krew installs the program. The same sources give the same files.
//
// It runs in the checkout, as make release does:
//
//	go run -C release . -version v1.2.3 -out ../dist
//
// With -bin it takes the programs of a folder, which are for this machine, and leaves
// the other platforms out. The tests use that.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"runtime"
	"time"
)

// releases is the URL below which krew and the Action look for the files of a release.
const releases = "https://github.com/egressplay/egressplay/releases/download"

// A release is a release to be made.
type release struct {
	version string
	top     string    // the checkout
	out     string    // the folder of the files
	work    string    // a folder for intermediate files
	bin     string    // the folder of this machine's programs; "" if they have to be built
	date    time.Time // of everything that has a date
	url     string    // where the files will be published, without their names
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	var r release
	flag.StringVar(&r.version, "version", "", "the release's `version`, such as v1.2.3")
	flag.StringVar(&r.out, "out", "../dist", "the `folder` that the files are written to")
	flag.StringVar(&r.bin, "bin", "", "take the programs of this `folder`, for this machine's platform alone")
	flag.Parse()
	if err := r.make(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "release:", err)
		os.Exit(1)
	}
}

// versions matches the versions that krew and Go accept.
var versions = regexp.MustCompile(`^v\d+\.\d+\.\d+(-[0-9A-Za-z.-]+)?$`)

// make makes all files of the release.
func (r *release) make(ctx context.Context) (err error) {
	if !versions.MatchString(r.version) {
		return fmt.Errorf("-version must be a version such as v1.2.3, got %q", r.version)
	}
	for _, dir := range []*string{&r.out, &r.bin} {
		if *dir == "" {
			continue
		}
		if *dir, err = filepath.Abs(*dir); err != nil {
			return err
		}
	}
	if r.top, err = filepath.Abs(".."); err != nil {
		return err
	}
	if r.bin == "" {
		if err := r.refuseChanges(ctx); err != nil {
			return err
		}
	}
	r.url = releases + "/" + r.version
	if r.date, err = r.commitDate(ctx); err != nil {
		return err
	}
	if r.work, err = os.MkdirTemp("", "egressplay-release-"); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(r.work)) }()
	if err := errors.Join(os.RemoveAll(r.out), os.MkdirAll(r.out, 0o755)); err != nil {
		return err
	}

	var images []program
	var files []asset
	for _, p := range r.platforms() {
		dir, err := r.programs(ctx, p)
		if err != nil {
			return fmt.Errorf("build the programs for %s: %w", p, err)
		}
		kinds := []kind{plain}
		if p.os == "linux" {
			kinds = append(kinds, withLab)
			images = append(images, program{p, filepath.Join(dir, "egressplay")})
		}
		for _, k := range kinds {
			file, err := r.archive(ctx, p, k, dir)
			if err != nil {
				return fmt.Errorf("make the archive of %s for %s: %w", k, p, err)
			}
			files = append(files, file)
		}
	}
	if err := r.image(images); err != nil {
		return fmt.Errorf("make the image: %w", err)
	}
	if err := r.krew(files); err != nil {
		return fmt.Errorf("write krew's manifest: %w", err)
	}
	return r.checksums()
}

// platforms returns the platforms for which programs are made.
func (r *release) platforms() []platform {
	if r.bin != "" {
		return []platform{{runtime.GOOS, runtime.GOARCH}}
	}
	return allPlatforms
}
