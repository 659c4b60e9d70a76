package main

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"debug/buildinfo"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime/debug"
	"slices"
	"strings"
)

// goPrograms returns the build infos of the programs in a tree that Go has built, by
// their paths.
func goPrograms(tree string) (map[string]*debug.BuildInfo, error) {
	programs := map[string]*debug.BuildInfo{}
	for _, dir := range []string{"bin", filepath.Join("libexec", "egressplay")} {
		entries, err := os.ReadDir(filepath.Join(tree, dir))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		} else if err != nil {
			return nil, err
		}
		for _, e := range entries {
			if !e.Type().IsRegular() {
				continue
			}
			path := filepath.Join(tree, dir, e.Name())
			if info, err := buildinfo.ReadFile(path); err == nil {
				if !slices.Contains(info.Settings, debug.BuildSetting{Key: "CGO_ENABLED", Value: "0"}) {
					return nil, fmt.Errorf("%s was built with cgo, so it needs libraries of this machine: build it with CGO_ENABLED=0, as make build does", path)
				}
				programs[path] = info
			} else if name := strings.TrimSuffix(e.Name(), ".exe"); name != "egressplay-envoy" && name != "egressplay-gateway-api.yaml" && name != "kubectl_complete-egressplay" {
				return nil, fmt.Errorf("read what %s is made of: %w", path, err)
			}
		}
	}
	return programs, nil
}

// licenceFile matches the names of files that have to accompany a copy of a module.
var licenceFile = regexp.MustCompile(`(?i)^(licen[cs]es?|copying|copyright|notice|patents|unlicense)([-._].*)?$`)

// notLicences matches files with such names that are source code.
var notLicences = regexp.MustCompile(`(?i)\.(go|sh|py|tmpl|tpl|json|ya?ml)$`)

// writeLicences writes the licences and notices of all modules in programs. A text that
// several modules share is written once.
func writeLicences(path string, programs map[string]*debug.BuildInfo, withEnvoy bool, checkout string) error {
	cache, err := exec.Command("go", "env", "GOMODCACHE", "GOROOT").Output()
	if err != nil {
		return fmt.Errorf("ask go for its folders: %w", err)
	}
	modules, goroot, _ := strings.Cut(strings.TrimSpace(string(cache)), "\n")
	folders := map[string]string{} // of a module with its version
	for _, info := range programs {
		folders["Go "+strings.TrimPrefix(info.GoVersion, "go")] = goroot
		for _, m := range info.Deps {
			if m.Replace != nil {
				m = m.Replace
			}
			if m.Version == "(devel)" || m.Version == "" {
				continue // our own
			}
			folders[m.Path+" "+m.Version] = filepath.Join(modules, filepath.FromSlash(escaped(m.Path))+"@"+escaped(m.Version))
		}
	}
	if withEnvoy { // its wheel has only a licence of its own; Envoy's is Apache-2.0, like ours
		folders["Envoy, https://github.com/envoyproxy/envoy"] = checkout
	}

	texts := map[[sha256.Size]byte][]byte{}
	users := map[[sha256.Size]byte][]string{}
	for module, folder := range folders {
		found, err := licencesOf(folder)
		if err != nil {
			return fmt.Errorf("find the licence of %s: %w", module, err)
		}
		if len(found) == 0 {
			return fmt.Errorf("find the licence of %s: there is none in %s", module, folder)
		}
		for _, text := range found {
			sum := sha256.Sum256(text)
			texts[sum] = text
			users[sum] = append(users[sum], module)
		}
	}
	sums := make([][sha256.Size]byte, 0, len(texts))
	for sum := range texts {
		slices.Sort(users[sum])
		users[sum] = slices.Compact(users[sum])
		sums = append(sums, sum)
	}
	slices.SortFunc(sums, func(a, b [sha256.Size]byte) int {
		return cmp.Or(slices.Compare(users[a], users[b]), bytes.Compare(texts[a], texts[b]))
	})
	return toFile(path, func(w io.Writer) error {
		fmt.Fprintln(w, "The programs are made of the modules below. Go's module proxy has the source of each.")
		for _, sum := range sums {
			fmt.Fprintf(w, "\n%s\n\n%s\n\n%s\n", strings.Repeat("=", 80), strings.Join(users[sum], "\n"), bytes.TrimSpace(texts[sum]))
		}
		return nil
	})
}

// licencesOf returns the texts of the licences and notices in the top folder of a
// module.
func licencesOf(folder string) ([][]byte, error) {
	entries, err := os.ReadDir(folder)
	if err != nil {
		return nil, err
	}
	var texts [][]byte
	for _, e := range entries {
		if !e.Type().IsRegular() || !licenceFile.MatchString(e.Name()) || notLicences.MatchString(e.Name()) {
			continue
		}
		text, err := os.ReadFile(filepath.Join(folder, e.Name()))
		if err != nil {
			return nil, err
		}
		texts = append(texts, text)
	}
	return texts, nil
}

// escaped returns a path or version in the form of Go's module cache: a capital becomes
// an exclamation mark and the small letter.
func escaped(path string) string {
	var b strings.Builder
	for _, r := range path {
		if 'A' <= r && r <= 'Z' {
			b.WriteByte('!')
			r += 'a' - 'A'
		}
		b.WriteRune(r)
	}
	return b.String()
}
