package sandbox

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"os/user"
	"strconv"
	"strings"
)

// wantedIDs is how many subordinate ids a lab needs: pods run as any user up to 65535,
// and 0 is the caller.
const wantedIDs = 65536

// idRange is a range of subordinate ids, a line of /etc/subuid or /etc/subgid.
type idRange struct{ first, count int }

// subordinateIDs reads subuid(5) or subgid(5) and returns the ranges of a user, whose
// lines have the user's name or number.
func subordinateIDs(r io.Reader, name, uid string) ([]idRange, error) {
	var ranges []idRange
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		owner, rest, _ := strings.Cut(strings.TrimSpace(lines.Text()), ":")
		if owner != name && owner != uid {
			continue
		}
		from, length, _ := strings.Cut(rest, ":")
		first, err1 := strconv.Atoi(from)
		count, err2 := strconv.Atoi(length)
		if err := errors.Join(err1, err2); err != nil {
			return nil, fmt.Errorf("line %q: %w", lines.Text(), err)
		}
		ranges = append(ranges, idRange{first, count})
	}
	return ranges, lines.Err()
}

func total(ranges []idRange) int {
	n := 0
	for _, r := range ranges {
		n += r.count
	}
	return n
}

// idMap returns the arguments of newuidmap(1) and newgidmap(1) after the pid: own
// becomes 0, the ranges follow from 1 on.
func idMap(own int, ranges []idRange) []string {
	words := []string{"0", strconv.Itoa(own), "1"}
	next := 1
	for _, r := range ranges {
		words = append(words, strconv.Itoa(next), strconv.Itoa(r.first), strconv.Itoa(r.count))
		next += r.count
	}
	return words
}

// mapIDs writes the id maps of the user namespace of a process. The kernel lets an
// ordinary user map more than the own id only through newuidmap and newgidmap, which
// are setuid.
func mapIDs(ctx context.Context, pid int) error {
	me, err := user.Current()
	if err != nil {
		return err
	}
	for _, m := range []struct {
		program, file string
		own           int
	}{
		{"newuidmap", "etc/subuid", os.Geteuid()},
		{"newgidmap", "etc/subgid", os.Getegid()},
	} {
		ranges, err := rangesOf(os.DirFS("/"), m.file, me)
		if err != nil {
			return err
		}
		if n := total(ranges); n < wantedIDs {
			return fmt.Errorf("/%s gives %s %d ids, and a lab needs %d", m.file, me.Username, n, wantedIDs)
		}
		args := append([]string{strconv.Itoa(pid)}, idMap(m.own, ranges)...)
		if out, err := exec.CommandContext(ctx, m.program, args...).CombinedOutput(); err != nil {
			return fmt.Errorf("%s: %w: %s", m.program, err, strings.TrimSpace(string(out)))
		}
	}
	return nil
}

// rangesOf reads a file of subordinate ids. A missing file gives no ranges.
func rangesOf(files fs.FS, name string, u *user.User) ([]idRange, error) {
	f, err := files.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	ranges, err := subordinateIDs(f, u.Username, u.Uid)
	if err != nil {
		return nil, fmt.Errorf("/%s: %w", name, err)
	}
	return ranges, nil
}
