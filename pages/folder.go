package pages

import (
	"path"
	"strings"
)

// filesIn returns the manifests of a folder beside the page, as kubectl -f FOLDER reads
// them; nil where there is no such folder.
func (m *mapper) filesIn(folder string, recursive bool) (files []string) {
	name := strings.TrimSuffix(baseOf(folder), "/")
	if name == "" {
		name = "."
	}
	for _, dir := range []string{path.Join(m.folder, name), name} {
		entries, err := m.source.ReadDir(dir)
		if err != nil {
			continue
		}
		for _, e := range entries {
			file := path.Join(dir, e.Name())
			switch {
			case e.IsDir() && recursive:
				files = append(files, m.filesIn(file, true)...)
			case e.IsDir():
			case strings.HasSuffix(file, ".yaml") && !strings.HasSuffix(file, ".egressplay.yaml"), strings.HasSuffix(file, ".yml"), strings.HasSuffix(file, ".json"):
				files = append(files, file)
			}
		}
		return files
	}
	return nil
}
