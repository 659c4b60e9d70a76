//go:build lab

package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/egressplay/egressplay/lab/cri"
	"github.com/egressplay/egressplay/lab/image/imagetest"
)

// The images of the test have only the test's own program, which is static and so needs
// nothing of the machine.
const imageProgram = "image-program"

// seen is what the program of an image sees of its container.
type seen struct {
	Args, Env []string
	UID, GID  int
	Groups    []int
	Dir       string
	Data      []string // names in /data
	Resolv    string
}

// beImageProgram runs as the program of an image: it serves what it sees, or fetches a
// URL.
func beImageProgram() error {
	if len(os.Args) == 3 && os.Args[1] == "fetch" {
		r, err := http.Get(os.Args[2])
		if err != nil {
			return err
		}
		defer r.Body.Close()
		fmt.Println(r.Status)
		_, err = io.Copy(os.Stdout, r.Body)
		return err
	}
	s := seen{Args: os.Args, Env: os.Environ(), UID: os.Getuid(), GID: os.Getgid()}
	var err error
	if s.Groups, err = os.Getgroups(); err != nil {
		return err
	}
	if s.Dir, err = os.Getwd(); err != nil {
		return err
	}
	files, err := os.ReadDir("/data")
	if err != nil {
		return err
	}
	for _, f := range files {
		s.Data = append(s.Data, f.Name())
	}
	resolv, err := os.ReadFile("/etc/resolv.conf")
	if err != nil {
		return err
	}
	s.Resolv = string(resolv)
	return http.ListenAndServe(":8080", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_ = json.NewEncoder(w).Encode(s) // the test notices an error
	}))
}

func ownProgram(t *testing.T) string {
	t.Helper()
	self, err := os.Executable()
	require.NoError(t, err)
	program, err := os.ReadFile(self)
	require.NoError(t, err)
	return string(program)
}

// ownImage returns an image whose configuration has every field.
func ownImage(t *testing.T, version string) imagetest.Source {
	t.Helper()
	return imagetest.Source{
		Names: []string{"example.com/own:1"},
		Config: map[string]any{
			"Entrypoint": []string{"/app/" + imageProgram}, "Cmd": []string{"serve", "by-the-image"},
			"Env": []string{"PATH=/app", "VERSION=" + version, "BOTH=image"}, "WorkingDir": "/data", "User": "app", "StopSignal": "SIGINT",
		},
		Layers: [][]byte{
			imagetest.Layer(
				imagetest.File{Name: "app/" + imageProgram, Text: ownProgram(t)},
				imagetest.File{Name: "etc/passwd", Text: "root:x:0:0::/root:\napp:x:1000:1001::/home/app:\n", Mode: 0o644},
				imagetest.File{Name: "etc/group", Text: "app:x:1001:\nlogs:x:7:app\n", Mode: 0o644},
				imagetest.File{Name: "etc/resolv.conf", Link: "/run/systemd/resolve/stub-resolv.conf"},
				imagetest.File{Name: "data/gone", Text: "x"},
			),
			imagetest.Layer(imagetest.File{Name: "data/.wh.gone"}, imagetest.File{Name: "data/here-" + version, Text: "x"}),
		},
	}
}

// load loads an archive, which must work, and returns what is printed.
func load(t *testing.T, content []byte, args ...string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "image.tar")
	require.NoError(t, os.WriteFile(file, content, 0o600))
	return verb(t, append([]string{"load", file}, args...)...)
}

// sees returns what the program of a pod sees, once it serves.
func (n namespace) sees(pod string) (s seen) {
	n.t.Helper()
	var r result
	n.eventually(func() bool {
		r = n.kubectl("exec", pod, "-c", "main", "--", imageProgram, "fetch", "http://localhost:8080/")
		return r.code == 0
	}, func() string { return r.stderr + n.kubectl("describe", "pod", pod).stdout })
	_, text, _ := strings.Cut(r.stdout, "\n")
	require.NoError(n.t, json.Unmarshal([]byte(text), &s), r.stdout)
	return s
}

func ownPod(name, image, more string) string {
	return fmt.Sprintf("apiVersion: v1\nkind: Pod\nmetadata: {name: %s}\nspec:\n  containers:\n  - name: main\n    image: %s\n%s", name, image, more)
}

// A user's own image runs at once as its configuration and the pod say, also in a mesh,
// from each format of archives.
func TestLoadAnImage(t *testing.T) {
	n := newNamespace(t, true)
	for format, content := range map[string][]byte{
		"docker":  imagetest.Docker(ownImage(t, "docker")),
		"oci":     imagetest.OCI(ownImage(t, "oci")),
		"oci, gz": imagetest.Gzip(imagetest.OCI(ownImage(t, "oci-gz"))),
	} {
		t.Run(format, func(t *testing.T) {
			n := namespace{t, n.name}
			version := strings.NewReplacer(", ", "-").Replace(format)
			assert.Regexp(t, `^loaded example\.com/own:1, \d+\.\d MiB\n$`, load(t, content))
			plain, other := version+"-plain", version+"-other"
			n.apply(ownPod(plain, "example.com/own:1", "    env: [{name: BOTH, value: pod}]\n    securityContext: {allowPrivilegeEscalation: false}\n"))
			n.apply(ownPod(other, "example.com/own:1", "    args: [serve, by-the-pod]\n    workingDir: /app\n    securityContext: {runAsUser: 5, runAsNonRoot: true}\n"))
			s := n.sees(plain)
			assert.Equal(t, []string{"/app/" + imageProgram, "serve", "by-the-image"}, s.Args)
			assert.Subset(t, s.Env, []string{"PATH=/app", "VERSION=" + version, "BOTH=pod", "HOME=/home/app", "HOSTNAME=" + plain})
			assert.Equal(t, []any{1000, 1001, "/data"}, []any{s.UID, s.GID, s.Dir})
			assert.ElementsMatch(t, []int{1001, 7}, s.Groups)
			assert.Equal(t, []string{"here-" + version}, s.Data)
			assert.Contains(t, s.Resolv, "nameserver 10.96.0.10", "not through the image's link")
			s = n.sees(other)
			assert.Equal(t, []string{"/app/" + imageProgram, "serve", "by-the-pod"}, s.Args)
			assert.Equal(t, []any{5, 0, "/app"}, []any{s.UID, s.GID, s.Dir})

			fetched := n.must("exec", plain, "-c", "main", "--", imageProgram, "fetch", "https://httpbin.org/headers")
			assert.Contains(t, fetched, "200 OK", "it trusts the lab's internet")
			n.must("delete", "pod", plain, other, "--timeout="+aWhile.String())
		})
	}
}

// A root file system has no configuration; the pod sets everything. Loading the same
// name again makes another image, and running pods keep theirs.
func TestLoadARootFileSystem(t *testing.T) {
	n := newNamespace(t, false)
	rootFS := func(version string) []byte {
		return imagetest.Layer(
			imagetest.File{Name: "./app/" + imageProgram, Text: ownProgram(t)},
			imagetest.File{Name: "./data/" + version, Text: "x"},
		)
	}
	load(t, imagetest.Gzip(rootFS("first")), "--as", "rootfs")
	const command = "    command: [/app/" + imageProgram + ", serve]\n    env: [{name: PATH, value: /app}]\n"
	n.apply(ownPod("first", "rootfs", command))
	assert.Equal(t, []string{"first"}, n.sees("first").Data)
	assert.Equal(t, 0, n.sees("first").UID)

	load(t, rootFS("second"), "--as", "rootfs")
	n.apply(ownPod("second", "docker.io/library/rootfs:latest", command))
	assert.Equal(t, []string{"second"}, n.sees("second").Data)
	assert.Equal(t, []string{"first"}, n.sees("first").Data)

	n.apply(ownPod("silent", "rootfs", ""))
	n.eventuallyField("pod/silent", ".status.containerStatuses[0].state.waiting.message", "no command: neither the pod nor the image rootfs says what to run")
	n.apply(ownPod("tag", "rootfs:2", command))
	n.eventuallyField("pod/tag", ".status.containerStatuses[0].state.waiting.message", `the lab has no image "rootfs:2"`)
}

// What is refused is reported, and leaves the lab's images as they were.
func TestLoadRefuses(t *testing.T) {
	before := verb(t, "images", "-o", "json")
	other := "arm64"
	if runtime.GOARCH == other {
		other = "amd64"
	}
	app := func(files ...imagetest.File) []byte {
		return imagetest.Docker(imagetest.Source{Names: []string{"refused"}, Layers: [][]byte{imagetest.Layer(files...)}})
	}
	one := func(name, user string) []byte {
		return imagetest.OCI(imagetest.Source{Names: []string{name}, Config: map[string]any{"User": user}, Layers: [][]byte{imagetest.Layer(imagetest.File{Name: "x"})}})
	}
	for says, content := range map[string][]byte{
		`nothing was loaded: -: layer 1: "../x" leads out of its folder by ..`:                      app(imagetest.File{Name: "../x"}),
		"the image is for linux/" + other:                                                           imagetest.Docker(imagetest.Source{Names: []string{"refused"}, Platform: "linux/" + other}),
		"refused:latest was not loaded: /dev of the image is not a folder":                          app(imagetest.File{Name: "dev", Link: "/etc"}),
		"pods of the lab's own are made of the image proxyv2: load yours by another name":           one("istio/proxyv2:1.31", ""),
		`refused:1 was not loaded: the image runs as the user "bob", who is not in its /etc/passwd`: one("refused:1", "bob"),
	} {
		cmd := program("load", "-")
		cmd.Stdin = bytes.NewReader(content)
		r := execute(cmd)
		assert.Equal(t, exitFailed, r.code, says)
		assert.Contains(t, r.stderr, says)
		assert.Empty(t, r.stdout)
	}
	assert.Equal(t, before, verb(t, "images", "-o", "json"))
	r := execute(program("load", "none.tar"))
	assert.Equal(t, exitUsage, r.code, r.stderr)
	assert.Contains(t, r.stderr, "none.tar: no such file")
	r = execute(program("load", "-", "--as", "Not A Name"))
	assert.Equal(t, exitUsage, r.code, r.stderr)
	assert.Contains(t, r.stderr, "--as")
	r = execute(program("load", "-", "--name", "none"))
	assert.Equal(t, exitFailed, r.code)
	assert.Contains(t, r.stderr, "lab none is not running")
}

// The user's own images come before the lab's, and are listed.
func TestImages(t *testing.T) {
	assert.Contains(t, load(t, imagetest.Layer(imagetest.File{Name: "x", Text: "x"}), "--as", "quay.io/mine/sleep:7"), "  pods that ask for it get it in place of the lab's own image sleep\n")
	out := verb(t, "images")
	assert.Regexp(t, `(?m)^quay\.io/mine/sleep:7 +egressplay lab load +0\.\d KiB$`, out)
	assert.Regexp(t, `(?m)^proxyv2 +the lab +\d+\.\d MiB$`, out)
	var list []cri.ImageInfo
	require.NoError(t, json.Unmarshal([]byte(verb(t, "images", "-o", "json")), &list))
	assert.True(t, list[0].Loaded)
	assert.False(t, list[len(list)-1].Loaded)
}
