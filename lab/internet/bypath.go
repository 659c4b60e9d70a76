package internet

import (
	"net/http"
	"strings"
)

// beneath is how a path ends that stands for all that begin like it.
const beneath = "*"

// byPath answers as the path says. A path that ends in * stands for all that begin
// with what is before it; of several that match, the longest counts.
type byPath struct {
	paths map[string]http.Handler
	other http.Handler // for paths that are not there
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
