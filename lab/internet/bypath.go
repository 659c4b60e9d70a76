package internet

import (
	"net/http"
	"strings"
)

// beneath is the end of a path that stands for all paths with the same beginning.
const beneath = "*"

// byPath chooses the answer by the path. A path that ends in * stands for all paths
// that begin with the part before it. If several match, the longest counts.
type byPath struct {
	paths map[string]http.Handler
	other http.Handler // for all other paths
}

func (b *byPath) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if exact := b.paths[r.URL.Path]; exact != nil {
		exact.ServeHTTP(w, r)
		return
	}
	answer, longest := b.other, -1
	for path, handler := range b.paths {
		begin, isMany := strings.CutSuffix(path, beneath)
		if isMany && len(begin) > longest && strings.HasPrefix(r.URL.Path, begin) {
			answer, longest = handler, len(begin)
		}
	}
	answer.ServeHTTP(w, r)
}
