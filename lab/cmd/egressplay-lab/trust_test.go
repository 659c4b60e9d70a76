package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/egressplay/egressplay/lab/cluster"
)

// stranger is the id of a user who does not run these tests.
const stranger = 61235

// privateDir makes a folder that this user alone can change, as t.TempDir does
// only with the usual umask.
func privateDir(t *testing.T) string {
	t.Helper()
	dir, err := filepath.EvalSymlinks(t.TempDir())
	require.NoError(t, err)
	require.NoError(t, os.Chmod(dir, 0o700))
	return dir
}

// newFolder makes the folder of a lab, three folders below dir, with a kubeconfig.
func newFolder(t *testing.T, dir string) cluster.Folder {
	t.Helper()
	f := cluster.Folder(filepath.Join(dir, "above", "all", "one"))
	require.NoError(t, makeFolder(f))
	require.NoError(t, os.WriteFile(f.Kubeconfig(), nil, 0o600))
	return f
}

func TestTrusted(t *testing.T) {
	f := newFolder(t, privateDir(t))
	all := filepath.Dir(string(f))
	above := filepath.Dir(all)
	elsewhere := privateDir(t)
	asRoot := os.Geteuid() == 0
	if !asRoot {
		t.Log("an ordinary user cannot give a folder to another, so the cases with another owner are left out; root runs them")
	}
	for name, tt := range map[string]struct {
		spoil func(path string) error
		path  string // the spoilt one, which the error names
		good  bool
		root  bool // only root can do it
	}{
		"as it was made":                         {good: true},
		"the lab's folder is a stranger's":       {chown, string(f), false, true},
		"the folder of all labs is a stranger's": {chown, all, false, true},
		"a folder above is a stranger's":         {chown, above, false, true},
		"others write to the lab's folder":       {chmod(0o702), string(f), false, false},
		"the group writes to the lab's folder":   {chmod(0o770), string(f), false, false},
		"others write to the folder of all labs": {chmod(0o777), all, false, false},
		"a sticky folder of all labs":            {chmod(0o777 | os.ModeSticky), all, false, false},
		"others write to a folder above":         {chmod(0o777), above, false, false},
		"the group writes to a folder above":     {chmod(0o775), above, false, false},
		"a sticky folder above":                  {chmod(0o777 | os.ModeSticky), above, true, false},
		"others read them":                       {chmod(0o755), all, true, false},
		"the lab's folder is a link":             {link(elsewhere), string(f), false, false},
		"the folder of all labs is a link":       {link(elsewhere), all, false, false},
		"a folder above is a link":               {link(elsewhere), above, false, false},
		"the lab's folder is a file":             {file, string(f), false, false},
	} {
		t.Run(name, func(t *testing.T) {
			if tt.root && !asRoot {
				return
			}
			if tt.spoil != nil {
				kept := privateDir(t)
				require.NoError(t, os.Rename(above, filepath.Join(kept, "above")))
				t.Cleanup(func() {
					require.NoError(t, os.RemoveAll(above))
					require.NoError(t, os.Rename(filepath.Join(kept, "above"), above))
				})
				require.NoError(t, os.CopyFS(above, os.DirFS(filepath.Join(kept, "above"))))
				for _, dir := range []string{above, all, string(f)} {
					require.NoError(t, os.Chmod(dir, 0o700))
				}
				require.NoError(t, tt.spoil(tt.path))
			}
			exists, err := trusted(f)
			made := makeFolder(f)
			if tt.good {
				require.NoError(t, err)
				assert.True(t, exists)
				require.NoError(t, made)
				return
			}
			assert.False(t, exists)
			for _, err := range []error{err, made} {
				assert.ErrorContains(t, err, "does not belong to this user alone: "+tt.path+" (")
			}
		})
	}
}

func chown(path string) error { return os.Chown(path, stranger, stranger) }

func chmod(mode os.FileMode) func(string) error {
	return func(path string) error { return os.Chmod(path, mode) }
}

// link replaces path by a link to a folder, which has everything that was at path.
func link(elsewhere string) func(string) error {
	return func(path string) error {
		target := filepath.Join(elsewhere, filepath.Base(path))
		if err := os.RemoveAll(target); err != nil {
			return err
		}
		if err := os.Rename(path, target); err != nil {
			return err
		}
		return os.Symlink(target, path)
	}
}

func file(path string) error {
	if err := os.RemoveAll(path); err != nil {
		return err
	}
	return os.WriteFile(path, nil, 0o600)
}

func TestWhatIsNotThereIsNotTrusted(t *testing.T) {
	dir := privateDir(t)
	for _, f := range []cluster.Folder{cluster.Folder(dir + "/all/one"), cluster.Folder(dir + "/one")} {
		exists, err := trusted(f)
		require.NoError(t, err)
		assert.False(t, exists)
	}
}

// A link above the folder of all labs is resolved once, so its owner can change nothing
// afterwards.
func TestFolderOfResolvesLinksAbove(t *testing.T) {
	dir := privateDir(t)
	require.NoError(t, os.Mkdir(filepath.Join(dir, "real"), 0o700))
	require.NoError(t, os.Symlink("real", filepath.Join(dir, "link")))
	for _, all := range []string{"labs", "not/there/labs"} {
		t.Setenv("EGRESSPLAY_LAB_DIR", filepath.Join(dir, "link", all))
		f, err := folderOf("one")
		require.NoError(t, err)
		assert.Equal(t, filepath.Join(dir, "real", all, "one"), string(f))
		require.NoError(t, makeFolder(f))
	}
}

func TestTrustedKubeconfig(t *testing.T) {
	f := newFolder(t, privateDir(t))
	path, err := trustedKubeconfig(f)
	require.NoError(t, err)
	assert.Equal(t, f.Kubeconfig(), path)

	spoilt := func(spoil func(string) error) {
		t.Helper()
		require.NoError(t, os.RemoveAll(f.Kubeconfig()))
		require.NoError(t, os.WriteFile(f.Kubeconfig(), nil, 0o600))
		require.NoError(t, spoil(f.Kubeconfig()))
		_, err := trustedKubeconfig(f)
		assert.ErrorContains(t, err, "does not belong to this user alone: "+path+" (")
	}
	spoilt(chmod(0o644))
	spoilt(chmod(0o620))
	spoilt(link(privateDir(t)))
	spoilt(func(path string) error {
		require.NoError(t, os.Remove(path))
		return os.Mkdir(path, 0o600)
	})
	if os.Geteuid() == 0 {
		spoilt(chown)
	}

	require.NoError(t, os.RemoveAll(f.Kubeconfig()))
	_, err = trustedKubeconfig(f)
	assert.ErrorIs(t, err, os.ErrNotExist)
}
