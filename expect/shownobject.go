package expect

import (
	"regexp"
	"strings"
)

var (
	objectBegins = regexp.MustCompile(`^(\s*(?:- )?)apiVersion: \S`)
	serversOwn   = regexp.MustCompile(`^(?:creationTimestamp|generation|resourceVersion|uid|selfLink): `)
	ofRun        = regexp.MustCompile(`^\s*(?:app\.kubernetes\.io/managed-by: "?egressplay"?|egressplay\.io/\S+: .*)$`)
	versionLine  = regexp.MustCompile(`^\s*(?:resourceVersion: "\d+"|"resourceVersion": "\d+",?)$`)
	lastApplied  = regexp.MustCompile(`^\s*kubectl\.kubernetes\.io/last-applied-configuration:`)
)

// filled returns which of the lines that came are not what an author writes of an object in
// YAML: its status, what the server adds to its metadata, and the labels of a run. A page
// may lack them, as it may lack keys of a JSON object. It returns nil if the page does
// not show an object in YAML.
func filled(page []shownLine, real []string) []bool {
	shows := false
	for _, l := range page {
		shows = shows || objectBegins.MatchString(l.text)
	}
	if !shows {
		return nil
	}
	all := make([]bool, len(real))
	for i, line := range real {
		if g := objectBegins.FindStringSubmatch(line); g != nil {
			fillObject(real[i:], all[i:], len(g[1]))
		}
	}
	return all
}

// fillObject marks the lines of the object that lines begin with. Its keys have an
// indentation.
func fillObject(lines []string, marked []bool, indent int) {
	block, labels := "", -1 // the object's key, and the line at which its labels begin
	only := true            // all labels up to now are a run's
	for i, line := range lines {
		text := strings.TrimLeft(line, " ")
		depth := len(line) - len(text)
		switch {
		case i == 0:
		case depth < indent, text == "---":
			return
		case depth == indent && !strings.HasPrefix(text, "- "):
			block, _, _ = strings.Cut(text, ":")
		case block == "metadata" && depth == indent+2:
			labels, only = -1, true
			if text == "labels:" {
				labels = i
			}
		}
		switch {
		case block == "status":
			marked[i] = true
		case block == "metadata" && depth == indent+2:
			marked[i] = serversOwn.MatchString(text)
		case block == "metadata" && labels >= 0:
			marked[i] = ofRun.MatchString(text)
			only = only && marked[i]
			marked[labels] = only
		}
	}
}

// notOurs returns which of the lines of a page are the annotation in which kubectl apply
// notes what it has applied. A run applies on the server, which notes that elsewhere.
func notOurs(page []shownLine) map[int]bool {
	all := map[int]bool{}
	for i, l := range page {
		if !lastApplied.MatchString(l.text) {
			continue
		}
		all[i] = true
		end := i + 1
		if end < len(page) && strings.HasPrefix(strings.TrimSpace(page[end].text), `{"`) {
			all[end] = true
			end++
		}
		depth := func(i int) int { return len(page[i].text) - len(strings.TrimLeft(page[i].text, " ")) }
		if i > 0 && strings.TrimSpace(page[i-1].text) == "annotations:" && (end == len(page) || depth(end) < depth(i)) {
			all[i-1] = true
		}
	}
	return all
}
