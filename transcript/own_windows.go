package transcript

import (
	"io/fs"
	"os"
)

// own has nothing to do: the folder gives a file its owner.
func own(*os.File, fs.FileInfo) error { return nil }
