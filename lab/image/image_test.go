package image

import (
	"archive/tar"
	"bytes"
	"context"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/egressplay/egressplay/lab/image/imagetest"
)

type (
	file   = imagetest.File
	source = imagetest.Source
)

var (
	docker, oci, layerOf, gzipped = imagetest.Docker, imagetest.OCI, imagetest.Layer, imagetest.Gzip
)

// archive writes an archive.
func archive(t *testing.T, content []byte) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "image.tar")
	require.NoError(t, os.WriteFile(name, content, 0o600))
	return name
}

// opened opens an archive, which must be valid and have one image.
func opened(t *testing.T, content []byte, as string) *Image {
	t.Helper()
	a, err := Open(t.Context(), archive(t, content), nil, as)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, a.Close()) })
	require.Len(t, a.Images, 1)
	return a.Images[0]
}

// hello returns a layer with a file that belongs to the user who runs the test.
func hello() []byte { return layerOf(mine(file{Name: "hello", Text: "hi\n"})...) }

// mine has files belong to the user who runs the test: only root may give files away.
func mine(files ...file) []file {
	for i := range files {
		files[i].UID, files[i].GID = os.Getuid(), os.Getgid()
	}
	return files
}

func TestNames(t *testing.T) {
	layers := [][]byte{hello()}
	for name, tt := range map[string]struct {
		content []byte
		as      string
		want    []string
	}{
		"docker": {docker(source{Names: []string{"app:1", "example.com/x/app:2"}, Layers: layers}), "",
			[]string{"docker.io/library/app:1", "example.com/x/app:2"}},
		"docker, by gzip":         {gzipped(docker(source{Names: []string{"app:1"}, Layers: layers})), "", []string{"docker.io/library/app:1"}},
		"docker, another name":    {docker(source{Names: []string{"app:1"}, Layers: layers}), "mine", []string{"docker.io/library/mine:latest"}},
		"oci":                     {oci(source{Names: []string{"quay.io/a/b:1"}, Layers: layers}), "", []string{"quay.io/a/b:1"}},
		"oci, by gzip":            {gzipped(oci(source{Names: []string{"app"}, Layers: layers})), "", []string{"docker.io/library/app:latest"}},
		"oci, by a tag alone":     {oci(source{Names: []string{"latest"}, Layers: layers}), "app:3", []string{"docker.io/library/app:3"}},
		"a root file system":      {hello(), "app", []string{"docker.io/library/app:latest"}},
		"a root file system, .gz": {gzipped(hello()), "app", []string{"docker.io/library/app:latest"}},
		"oci, for several machines": {oci(source{Names: []string{"app:1"}, Platform: "linux/mips", Layers: layers},
			source{Names: []string{"app:1"}, Layers: layers}), "", []string{"docker.io/library/app:1"}},
	} {
		t.Run(name, func(t *testing.T) {
			im := opened(t, tt.content, tt.as)
			assert.Equal(t, tt.want, im.Names)
			assert.EqualValues(t, 3, im.Size)
			assert.Regexp(t, "^sha256:", im.ID)
		})
	}
	several, err := Open(t.Context(), "-", bytes.NewReader(docker(
		source{Names: []string{"a:1"}, Layers: layers}, source{Names: []string{"b:1"}, Layers: layers})), "")
	require.NoError(t, err)
	assert.Len(t, several.Images, 2, "and from stdin")
	require.NoError(t, several.Close())
}

func TestMeans(t *testing.T) {
	sum := "sha256:" + strings.Repeat("0", 64)
	d := Description{ID: sum, Digest: "sha256:" + strings.Repeat("1", 64), Names: []string{"docker.io/library/app:1", "example.com/x:latest"}}
	for ref, want := range map[string]bool{
		"app:1": true, "library/app:1": true, "docker.io/library/app:1": true,
		"app": false, "app:latest": false, "app:2": false, "me/app:1": false, "quay.io/library/app:1": false,
		"example.com/x": true, "example.com/x:latest": true, "example.com/x:1": false,
		sum: true, "app@" + sum: true, "app:2@" + d.Digest: true, "other@" + sum: false,
		"app@sha256:" + strings.Repeat("2", 64): false, "": false, "NOT a reference": false,
	} {
		assert.Equal(t, want, d.Means(ref), ref)
	}
}

// What a lab cannot or must not take is refused with the reason, before anything is made.
func TestRefused(t *testing.T) {
	other := "arm64"
	elf := "\x7fELF\x02\x01\x01" + strings.Repeat("\x00", 11) + "\xb7\x00" + strings.Repeat("\x00", 50)
	if runtime.GOARCH == other {
		other, elf = "amd64", strings.ReplaceAll(elf, "\xb7", "\x3e")
	}
	layers := func(files ...file) []byte {
		return docker(source{Names: []string{"app"}, Layers: [][]byte{layerOf(files...)}})
	}
	app := func(layers ...[]byte) source { return source{Names: []string{"app"}, Layers: layers} }
	small := DefaultLimits
	small.Unpacked, small.Entries, small.Archive, small.Layers = 10_000, 30, 60_000, 3
	damaged := docker(app(hello()))
	damaged[bytes.Index(damaged, []byte("hi\n"))] = 'H'
	for name, tt := range map[string]struct {
		content []byte
		says    string
	}{
		"a path that climbs":               {layers(file{Name: "a/../../etc/passwd"}), `"a/../../etc/passwd" leads out of its folder by ..`},
		"a link that climbs":               {layers(file{Name: "a/b", Link: "../../etc"}), `"a/b" is a link that leads out of the image, to "../../etc"`},
		"a hard link that climbs":          {layers(file{Name: "a", Link: "../x", Type: tar.TypeLink}), `"a" is a hard link to "../x", which leads out of its folder`},
		"a device":                         {layers(file{Name: "dev/sda", Type: tar.TypeBlock}), `"dev/sda" is a device`},
		"a device of characters":           {layers(file{Name: "dev/null", Type: tar.TypeChar}), `"dev/null" is a device`},
		"an unknown type":                  {layers(file{Name: "a", Type: '7'}), `neither a file nor a folder nor a link`},
		"a whiteout of a folder above":     {layers(file{Name: "a/.wh..."}), "removes no file"},
		"a whiteout of nothing":            {layers(file{Name: "a/.wh."}), "removes no file"},
		"an id that a lab lacks":           {layers(file{Name: "a", UID: 70000}), "user 70000 and group 0, and a lab has ids up to 65535"},
		"the root as a file":               {layers(file{Name: ".", Link: "x"}), "is the root, and not a folder"},
		"a name that is too long":          {layers(file{Name: strings.Repeat("a", 300)}), "longer than a name may be"},
		"another architecture":             {docker(source{Names: []string{"app"}, Platform: "linux/" + other}), "the image is for linux/" + other + ", and this machine runs linux/"},
		"another architecture, OCI":        {oci(source{Names: []string{"app"}, Platform: "linux/" + other}), "it has no image for linux/" + runtime.GOARCH + ", but for linux/" + other},
		"another system":                   {oci(source{Names: []string{"app"}, Platform: "windows/amd64"}), "but for windows/amd64"},
		"programs of another architecture": {layers(file{Name: "bin/sh", Text: elf}), "programs are for " + other},
		"more bytes than a limit":          {layers(file{Name: "a", Text: strings.Repeat("a", 6000)}, file{Name: "b", Text: strings.Repeat("b", 6000)}), "files have more than 9.8 KiB"},
		"more entries than a limit":        {layers(slices.Repeat([]file{{Name: "a/"}}, 40)...), "more than 30 entries"},
		"more layers than a limit":         {docker(app(hello(), hello(), hello(), hello())), "has 4 layers, and a lab takes 3"},
		"a bomb":                           {gzipped(make([]byte, 1<<20)), "the archive has more than"},
		"a bomb in a layer":                {oci(app(make([]byte, 1<<20))), "the layer has more than"},
		"a damaged layer":                  {damaged, "the archive is damaged: the digest is"},
		"a layer that is missing":          {layerOf(file{Name: "manifest.json", Text: `[{"Config":"c","RepoTags":["a"],"Layers":["l"]}]`}), `the archive is not complete: it lacks "c"`},
		"no name":                          {oci(source{Layers: [][]byte{hello()}}), "it has no name for the image: give one with --as NAME"},
		"a root file system without one":   {hello(), "give one with --as NAME"},
		"a name that is none":              {docker(source{Names: []string{"Not A Name"}, Layers: [][]byte{hello()}}), `"Not A Name" is not a name of an image`},
		"a signal that is none":            {docker(source{Names: []string{"a"}, Config: map[string]any{"StopSignal": "SIGNONE"}}), `unknown signal to stop it: "SIGNONE"`},
		"no archive":                       {[]byte(strings.Repeat("no archive", 100)), "it is not a complete tar archive"},
		"nothing":                          {nil, "it is not a complete tar archive"},
		"half of an archive":               {hello()[:514], "it is not a complete tar archive"},
		"xz":                               {[]byte("\xfd7zXZ\x00 and so on"), "compressed by xz, and a lab reads only gzip"},
		"zstd":                             {[]byte("\x28\xb5\x2f\xfd and so on"), "compressed by zstd"},
	} {
		t.Run(name, func(t *testing.T) {
			for i, f := range []string{archive(t, tt.content), "-"} {
				_, err := open(t.Context(), f, bytes.NewReader(tt.content), "", small)
				require.ErrorContains(t, err, tt.says)
				assert.Contains(t, err.Error(), f, "and it tells where: %d", i)
			}
		})
	}
	_, err := Open(t.Context(), t.TempDir(), nil, "")
	require.ErrorContains(t, err, "it is a folder; make an archive of it first")
	_, err = Open(t.Context(), "no/such/file", nil, "")
	require.ErrorIs(t, err, fs.ErrNotExist)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = Open(ctx, archive(t, docker(app(hello()))), nil, "")
	require.ErrorIs(t, err, context.Canceled)
}

// unpacked sends an image with layers, and returns the folder into which it was
// unpacked.
func unpacked(t *testing.T, config any, layers ...[]byte) (dir string, err error) {
	t.Helper()
	var sent bytes.Buffer
	require.NoError(t, opened(t, oci(source{Names: []string{"app"}, Config: config, Layers: layers}), "").Send(t.Context(), &sent))
	received, err := Receive(t.Context(), &sent)
	require.NoError(t, err)
	dir = t.TempDir()
	_, err = received.Unpack(t.Context(), dir)
	return dir, err
}

// tree lists what is in a folder, by path.
func tree(t *testing.T, dir string) map[string]string {
	t.Helper()
	got := map[string]string{}
	require.NoError(t, filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		require.NoError(t, err)
		name, err := filepath.Rel(dir, p)
		require.NoError(t, err)
		switch {
		case d.IsDir():
			if entries, err := os.ReadDir(p); err == nil && len(entries) == 0 {
				got[name+"/"] = ""
			}
		case d.Type() == fs.ModeSymlink:
			got[name], err = os.Readlink(p)
			got[name] = "-> " + got[name]
		default:
			var text []byte
			text, err = os.ReadFile(p)
			got[name] = string(text)
		}
		return err
	}))
	for _, made := range []string{"dev/", "etc/", "proc/", "sys/"} {
		delete(got, made)
	}
	return got
}

// Layers are unpacked as a container engine does it.
func TestLayers(t *testing.T) {
	layer := func(files ...file) []byte { return layerOf(mine(files...)...) }
	outside := t.TempDir()
	for name, tt := range map[string]struct {
		layers [][]byte
		want   map[string]string
	}{
		"a later file replaces": {
			[][]byte{layer(file{Name: "a", Text: "1"}, file{Name: "b/c", Text: "1"}), layer(file{Name: "./a", Text: "2"})},
			map[string]string{"a": "2", "b/c": "1"}},
		"a whiteout removes": {
			[][]byte{layer(file{Name: "a", Text: "1"}, file{Name: "b/c", Text: "1"}, file{Name: "b/d", Text: "1"}), layer(file{Name: ".wh.a"}, file{Name: "b/.wh.c"})},
			map[string]string{"b/d": "1"}},
		"a whiteout spares its own layer, wherever it stands": {
			[][]byte{layer(file{Name: "b/c", Text: "1"}, file{Name: "b/d", Text: "1"}), layer(file{Name: "b/e", Text: "2"}, file{Name: ".wh.b"}, file{Name: "b/f", Text: "2"})},
			map[string]string{"b/e": "2", "b/f": "2"}},
		"an opaque folder hides what was in it": {
			[][]byte{layer(file{Name: "b/c/x", Text: "1"}, file{Name: "b/d", Text: "1"}), layer(file{Name: "b/c/y", Text: "2"}, file{Name: "b/.wh..wh..opq"})},
			map[string]string{"b/c/y": "2"}},
		"a whiteout of what is not there": {
			[][]byte{layer(file{Name: "x/.wh.a"}, file{Name: "b", Text: "1"}, file{Name: ".wh..wh.plnk"})}, map[string]string{"b": "1"}},
		"a folder replaces a link, and a file a folder": {
			[][]byte{layer(file{Name: "t/u", Text: "1"}, file{Name: "a", Link: "t"}, file{Name: "d/e", Text: "1"}), layer(file{Name: "a/"}, file{Name: "d", Text: "2"})},
			map[string]string{"t/u": "1", "a/": "", "d": "2"}},
		"a path through a link is within the image": {
			[][]byte{layer(file{Name: "usr/bin/x", Text: "1"}, file{Name: "bin", Link: "/usr/bin"}), layer(file{Name: "bin/y", Text: "2"}, file{Name: "bin/.wh.x"})},
			map[string]string{"usr/bin/y": "2", "bin": "-> /usr/bin"}},
		"links that would lead elsewhere lead within the image": {
			[][]byte{layer(file{Name: "out", Link: outside}, file{Name: "out/x", Text: "1"})},
			map[string]string{outside[1:] + "/x": "1", "out": "-> " + outside}},
		"a hard link keeps what a later layer replaces": {
			[][]byte{layer(file{Name: "a", Text: "1"}, file{Name: "b", Link: "a", Type: tar.TypeLink}), layer(file{Name: "a", Text: "2"})},
			map[string]string{"a": "2", "b": "1"}},
		"a hard link into a layer below": {
			[][]byte{layer(file{Name: "a", Text: "1"}), layer(file{Name: "c/b", Link: "/a", Type: tar.TypeLink}, file{Name: "a", Link: "a", Type: tar.TypeLink})},
			map[string]string{"a": "1", "c/b": "1"}},
	} {
		t.Run(name, func(t *testing.T) {
			dir, err := unpacked(t, nil, tt.layers...)
			require.NoError(t, err)
			assert.Equal(t, tt.want, tree(t, dir))
		})
	}
	assert.NotContains(t, tree(t, outside), "x", "nothing was written outside")
}

func TestUnpackRefuses(t *testing.T) {
	layer := func(files ...file) []byte { return layerOf(mine(files...)...) }
	for says, files := range map[string][]file{
		"/dev of the image is not a folder":             {{Name: "dev", Link: "/etc"}},
		"/etc of the image is not a folder":             {{Name: "etc", Text: "x"}},
		`hard link to "no", which is not a file of the`: {{Name: "a", Link: "no", Type: tar.TypeLink}},
		`hard link to "d", which is not a file of the`:  {{Name: "d/"}, {Name: "a", Link: "d", Type: tar.TypeLink}},
	} {
		_, err := unpacked(t, nil, layer(files...))
		assert.ErrorContains(t, err, says)
	}
	_, err := Receive(t.Context(), strings.NewReader("no image"))
	require.ErrorContains(t, err, "receive an image")

	var sent bytes.Buffer
	require.NoError(t, opened(t, oci(source{Names: []string{"app"}, Layers: [][]byte{hello()}}), "").Send(t.Context(), &sent))
	received, err := Receive(t.Context(), bytes.NewReader(sent.Bytes()[:2000]))
	require.NoError(t, err)
	_, err = received.Unpack(t.Context(), t.TempDir())
	require.ErrorIs(t, err, io.ErrUnexpectedEOF, "half of an image is none")
}

func TestModesAndVolumes(t *testing.T) {
	dir, err := unpacked(t, map[string]any{"Volumes": map[string]any{"/data/x": map[string]any{}}},
		layerOf(mine(file{Name: "su", Text: "x", Mode: 0o4755}, file{Name: "t/", Mode: 0o1777}, file{Name: "s", Text: "x", Mode: 0o600})...))
	require.NoError(t, err)
	for name, want := range map[string]fs.FileMode{
		"su": 0o755 | fs.ModeSetuid, "t": 0o777 | fs.ModeSticky | fs.ModeDir, "s": 0o600, "data/x": 0o755 | fs.ModeDir,
	} {
		info, err := os.Lstat(filepath.Join(dir, name))
		require.NoError(t, err)
		assert.Equal(t, want, info.Mode(), name)
	}
}

func TestUsers(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.Mkdir(filepath.Join(dir, "etc"), 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "etc/passwd"), []byte("root:x:0:0::/root:/bin/sh\napp:x:1000:1001:App:/srv/app:/bin/sh\nno line\nhuge:x:99999:0::/:\n"), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "etc/group"), []byte("root:x:0:\napp:x:1001:\nlogs:x:7:app,other\n"), 0o600))
	u, err := usersOf(t.Context(), dir)
	require.NoError(t, err)
	for spec, want := range map[string]struct {
		uid, gid int
		byName   string
	}{
		"": {0, 0, ""}, "0": {0, 0, ""}, "1000": {1000, 1001, ""}, "5": {5, 0, ""}, "5:6": {5, 6, ""},
		"app": {1000, 1001, "app"}, "app:7": {1000, 7, "app"}, "app:logs": {1000, 7, "app"}, "1000:logs": {1000, 7, ""}, ":logs": {0, 7, ""},
	} {
		uid, gid, byName, err := u.Find(spec)
		require.NoError(t, err, spec)
		assert.Equal(t, want, struct {
			uid, gid int
			byName   string
		}{uid, gid, byName}, spec)
	}
	for spec, says := range map[string]string{
		"bob": `the user "bob", who is not in its /etc/passwd`, "app:none": `the group "none"`, "70000": "user 70000 and group 0",
	} {
		_, _, _, err := u.Find(spec)
		require.ErrorContains(t, err, says)
	}
	assert.Equal(t, "/srv/app", u.ByID(1000).Home)
	assert.Equal(t, "/", u.ByID(4).Home)
	assert.Equal(t, []int{7}, u.GroupsOf("app"))
	assert.Empty(t, u.GroupsOf(""))

	outside := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(outside, "passwd"), []byte("x:x:1:1::/:\n"), 0o600))
	require.NoError(t, os.Remove(filepath.Join(dir, "etc/passwd")))
	require.NoError(t, os.Symlink(filepath.Join(outside, "passwd"), filepath.Join(dir, "etc/passwd")))
	u, err = usersOf(t.Context(), dir)
	require.NoError(t, err)
	assert.Empty(t, u.ByID(1).Name, "a link does not lead out of the image")
}

func TestSignal(t *testing.T) {
	for name, want := range map[string]int{"": 0, "SIGTERM": 15, "term": 15, "QUIT": 3, "9": 9, "SIGRTMIN+3": 37, "RTMAX-1": 63} {
		got, err := Config{StopSignal: name}.Signal()
		require.NoError(t, err, name)
		assert.EqualValues(t, want, got, name)
	}
	for _, name := range []string{"0", "65", "SIGRTMIN+40", "SIGRTMIN+x", "SIG"} {
		_, err := Config{StopSignal: name}.Signal()
		assert.Error(t, err, name)
	}
}
