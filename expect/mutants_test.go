package expect

import (
	"fmt"
	"math/rand"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"gopkg.in/yaml.v3"

	"github.com/egressplay/egressplay/evidence"
)

// A recorded output is one as a page shows it, and as it came in a lab.
type recorded struct {
	From, Command, Shown, Real string
	Codes                      []int
	Log                        bool
}

func readRecorded(t *testing.T) (all []recorded) {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", "recorded.yaml"))
	require.NoError(t, err)
	require.NoError(t, yaml.Unmarshal(data, &all))
	require.NotEmpty(t, all)
	return all
}

// judged judges an output as a run would.
func (r recorded) judged(shown, real string, codes []int) evidence.Verdicts {
	return (&Shown{Text: shown}).Judge(&evidence.Attempt{Shell: r.shell(real, codes)})
}

func (r recorded) shell(real string, codes []int) *evidence.Shell {
	s := &evidence.Shell{Text: real}
	if len(codes) == 0 {
		codes = []int{0}
	}
	for _, code := range codes {
		s.Stages = append(s.Stages, evidence.Stage{Argv: strings.Fields(r.Command), Code: code, Exec: !r.Log, Log: r.Log})
	}
	return s
}

// A change is what a mutant changes in a line.
type change struct {
	name    string
	pattern *regexp.Regexp
	with    func(groups []string) string
}

func replaced(with string) func([]string) string { return func([]string) string { return with } }

// changes are those of facts: each makes a line say something else.
var changes = []change{
	{"status of a response", regexp.MustCompile(`^((?:[<>] )?HTTP/[\d.]+ )(\d{3})`), func(g []string) string { return g[1] + other(g[2]) }},
	{"protocol of a response", regexp.MustCompile(`^((?:[<>] )?HTTP/)(2|1\.1)( \d)`), func(g []string) string {
		return g[1] + map[string]string{"2": "1.1", "1.1": "2"}[g[2]] + g[3]
	}},
	{"status in a log", regexp.MustCompile(`^(\[[^\]]+\] "[^"]+" )(\d{3})`), func(g []string) string { return g[1] + other(g[2]) }},
	{"flags in a log", regexp.MustCompile(`^(\[[^\]]+\] "[^"]+" \d+ )(-|[A-Z]+) `), func(g []string) string { return g[1] + "UF " }},
	{"bare status", regexp.MustCompile(`^(\d{3})$`), func(g []string) string { return other(g[1]) }},
	{"exit code", regexp.MustCompile(`(exit code )(\d+)`), func(g []string) string { return g[1] + other(g[2]) }},
	{"port of a cluster", regexp.MustCompile(`(outbound\|)(\d+)`), func(g []string) string { return g[1] + other(g[2]) }},
	{"host of a cluster", regexp.MustCompile(`(outbound\|\d+\|\|)(\w)`), func(g []string) string { return g[1] + "x" + g[2] }},
	{"cluster", regexp.MustCompile(`PassthroughCluster`), replaced("BlackHoleCluster")},
	{"no cluster", regexp.MustCompile(`("-" )- -( \S+:\d+ \S+ )`), func(g []string) string { return g[1] + "BlackHoleCluster -" + g[2] }},
	{"SNI", regexp.MustCompile(`( )([a-z][\w.]+\.com)( \S+)$`), func(g []string) string { return g[1] + "x" + g[2] + g[3] }},
	{"authority", regexp.MustCompile(`(" ")([a-z][\w.]+\.\w+)(" ")`), func(g []string) string { return g[1] + "x" + g[2] + g[3] }},
	{"READY", regexp.MustCompile(`\b2/2\b`), replaced("1/2")},
	{"STATUS", regexp.MustCompile(`\bRunning\b`), replaced("Pending")},
	{"TYPE", regexp.MustCompile(`\bClusterIP\b`), replaced("NodePort ")},
	{"port", regexp.MustCompile(`\b(\d+)/TCP`), func(g []string) string { return other(g[1]) + "/TCP" }},
	{"HOSTS", regexp.MustCompile(`\["(\w)`), func(g []string) string { return `["x` + g[1] }},
	{"LOCATION", regexp.MustCompile(`MESH_EXTERNAL`), replaced("MESH_INTERNAL")},
	{"RESOLUTION", regexp.MustCompile(`\bDNS\b`), replaced("NONE")},
	{"title", regexp.MustCompile(`(<title>)(\w+)`), func(g []string) string { return g[1] + "No " + g[2] }},
	{"path", regexp.MustCompile(`(/(?:headers|politics|anything/here|status/418|delay/5))`), func(g []string) string { return g[1] + "XYZ" }},
	{"method", regexp.MustCompile(`"GET /`), replaced(`"POST /`)},
	{"method of curl", regexp.MustCompile(`^> GET `), replaced("> POST ")},
	{"Host", regexp.MustCompile(`(Host"?: "?)(\w)`), func(g []string) string { return g[1] + "x" + g[2] }},
	{"server", regexp.MustCompile(`^(server: )envoy`), func(g []string) string { return g[1] + "nginx" }},
	{"content-type", regexp.MustCompile(`text/html`), replaced("text/plain")},
	{"name of a key", regexp.MustCompile(`^(\s*)("?[A-Za-z-]+"?)(: )`), func(g []string) string { return g[1] + `"X-Other"` + g[3] }},
	{"value in YAML", regexp.MustCompile(`^(\s*(?:- )?(?:name|protocol|number|resolution|kind|apiVersion): )(\S+)`), func(g []string) string { return g[1] + g[2] + "x" }},
	{"item in YAML", regexp.MustCompile(`^(\s*- )(\w+\.\w+\.\w+)$`), func(g []string) string { return g[1] + "x" + g[2] }},
	{"name", regexp.MustCompile(`\b(sleep|cnn|httpbin-ext)(\s{2,}|-\w+-\w{5}\s)`), func(g []string) string { return "other" + g[2] }},
	{"certificate", regexp.MustCompile(`CN=([\w.]+)`), func(g []string) string { return "CN=x" + g[1] }},
}

// other returns another number with as many digits.
func other(number string) string {
	n, _ := strconv.Atoi(number)
	text := strconv.Itoa(n + 1)
	if len(text) > len(number) || n == 200 {
		text = strings.Repeat("5", len(number))
	}
	return text
}

// added are lines that tell that something else happened.
var added = []string{"HTTP/2 503", "HTTP/1.1 502 Bad Gateway", "command terminated with exit code 56", "curl: (7) Failed to connect", "Error from server (NotFound): pods \"x\" not found"}

// A mutant is an output, shown or real, that says something else.
type mutant struct {
	what        string
	shown, real string
	codes       []int
}

// mutants returns what becomes of a recorded output by one change each, of the page
// and of the world.
func (r recorded) mutants() (all []mutant) {
	shown, real := strings.Split(strings.TrimSuffix(r.Shown, "\n"), "\n"), strings.Split(strings.TrimSuffix(r.Real, "\n"), "\n")
	page := func(what string, lines []string) {
		all = append(all, mutant{"page: " + what, strings.Join(lines, "\n") + "\n", r.Real, r.Codes})
	}
	world := func(what string, lines []string) {
		text := strings.Join(lines, "\n") + "\n"
		var codes []int
		for _, l := range lines {
			if code, ok := ShownExitCode(l); ok {
				n, _ := strconv.Atoi(code)
				codes = append(codes, n)
			}
		}
		all = append(all, mutant{"world: " + what, r.Shown, text, codes})
	}
	for i, line := range shown {
		if strings.TrimSpace(line) == "" || isEllipsis(line) {
			continue
		}
		for _, c := range changes {
			if changed := c.in(line); changed != line {
				page(c.name, replace(shown, i, changed))
			}
		}
		if !header.MatchString(line) { // whose row tells the same
			page("a line twice", slices.Insert(slices.Clone(shown), i, line))
		}
		if i+1 < len(shown) && strings.TrimSpace(shown[i+1]) != "" && !isEllipsis(shown[i+1]) && squeeze(shown[i+1]) != squeeze(line) {
			swapped := replace(shown, i, shown[i+1])
			swapped[i+1] = line
			page("order", swapped)
		}
		page("a line that did not come", slices.Insert(slices.Clone(shown), i+1, "some line that never came"))
	}
	for _, line := range added {
		page("one more: "+line, append(slices.Clone(shown), line))
		if !r.Log {
			world("one more: "+line, append(slices.Clone(real), line))
		}
	}
	world("nothing", nil)
	for j, line := range real {
		i := slices.IndexFunc(shown, func(s string) bool {
			ok, _ := lineMatches(strings.TrimSpace(s), strings.TrimSpace(line), nil)
			return ok && strings.TrimSpace(s) != "" && !isEllipsis(s)
		})
		if i < 0 {
			continue
		}
		for _, c := range changes {
			if changed := c.in(line); changed != line && c.in(shown[i]) != shown[i] {
				world(c.name, replace(real, j, changed))
			}
		}
		if !another(shown[i], slices.Delete(slices.Clone(real), j, j+1)) { // which would be what is shown
			world("a line less", slices.Delete(slices.Clone(real), j, j+1))
		}
		if isFact(line) || strings.HasPrefix(line, "<title>") {
			if !r.Log {
				world("a line twice", slices.Insert(slices.Clone(real), j, line))
			}
		}
		if j+1 < len(real) && i+1 < len(shown) {
			if ok, _ := lineMatches(strings.TrimSpace(shown[i+1]), strings.TrimSpace(real[j+1]), nil); ok && strings.TrimSpace(real[j+1]) != "" && !isEllipsis(shown[i+1]) && squeeze(real[j+1]) != squeeze(line) {
				swapped := replace(real, j, real[j+1])
				swapped[j+1] = line
				world("order", swapped)
			}
		}
	}
	return all
}

// another reports whether a line can be what a page shows in its line.
func another(shown string, real []string) bool {
	return slices.ContainsFunc(real, func(l string) bool {
		ok, _ := lineMatches(strings.TrimSpace(shown), strings.TrimSpace(l), nil)
		return ok && strings.Contains(shown, "...")
	})
}

// in returns a line with the change, the line itself where it does not apply.
func (c change) in(line string) string {
	m := c.pattern.FindStringSubmatchIndex(line)
	if m == nil {
		return line
	}
	return line[:m[0]] + c.with(c.pattern.FindStringSubmatch(line)) + line[m[1]:]
}

func replace(lines []string, i int, with string) []string {
	lines = slices.Clone(lines)
	lines[i] = with
	return lines
}

// equivalent says why a mutant means the same as what was changed; "" where it does not.
func (m mutant) equivalent(r recorded) string {
	if strings.TrimSpace(m.real) == strings.TrimSpace(r.Real) && strings.TrimSpace(m.shown) == strings.TrimSpace(r.Shown) {
		return "nothing has changed"
	}
	return ""
}

// TestMutants changes what recorded outputs show, and what came, by one fact each. The
// comparison must notice 99 of 100.
func TestMutants(t *testing.T) {
	n, caught := 0, 0
	byKind := map[string][2]int{}
	for _, r := range readRecorded(t) {
		require.True(t, held(r.judged(r.Shown, r.Real, r.Codes)), "%s: %s\n%v", r.From, r.Command, r.judged(r.Shown, r.Real, r.Codes))
		for _, m := range r.mutants() {
			if m.equivalent(r) != "" {
				continue
			}
			kind, _, _ := strings.Cut(m.what, ": HTTP")
			count := byKind[kind]
			n++
			count[1]++
			if held(r.judged(m.shown, m.real, m.codes)) {
				t.Logf("let through: %s: %s\n--- shown\n%s--- real\n%s", r.Command, m.what, m.shown, m.real)
			} else {
				caught++
				count[0]++
			}
			byKind[kind] = count
		}
	}
	t.Logf("%d of %d mutants caught (%.1f %%)", caught, n, 100*float64(caught)/float64(n))
	for _, kind := range sortedKeys(byKind) {
		t.Logf("  %3d of %3d  %s", byKind[kind][0], byKind[kind][1], kind)
	}
	assert.GreaterOrEqual(t, 100*caught, 99*n)
	assert.Greater(t, n, 300)
}

func sortedKeys[V any](m map[string]V) (keys []string) {
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// values are what differs from run to run, and how another run has it.
var values = []struct {
	pattern *regexp.Regexp
	make    func(r *rand.Rand) string
}{
	{regexp.MustCompile(`\b[A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d GMT`), func(r *rand.Rand) string {
		return fmt.Sprintf("Mon, %02d Jul 2025 %02d:%02d:%02d GMT", 1+r.Intn(28), r.Intn(24), r.Intn(60), r.Intn(60))
	}},
	{regexp.MustCompile(`\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z`), func(r *rand.Rand) string {
		return fmt.Sprintf("2025-07-%02dT%02d:%02d:%02d.%03dZ", 1+r.Intn(28), r.Intn(24), r.Intn(60), r.Intn(60), r.Intn(1000))
	}},
	{regexp.MustCompile(`\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b`), func(r *rand.Rand) string {
		return fmt.Sprintf("%08x-%04x-%04x-%04x-%012x", r.Uint32(), r.Intn(1<<16), r.Intn(1<<16), r.Intn(1<<16), r.Int63n(1<<48))
	}},
	{regexp.MustCompile(`\b(?:10|203|192|172)\.\d+\.\d+\.\d+\b`), func(r *rand.Rand) string {
		return fmt.Sprintf("%d.%d.%d.%d", 11+r.Intn(180), r.Intn(256), r.Intn(256), 1+r.Intn(254))
	}},
	{regexp.MustCompile(`\b[0-9a-f]{8,10}-[a-z0-9]{5}\b`), func(r *rand.Rand) string {
		return letters(r, "456789bcdf", 10) + "-" + letters(r, "bcdfghjklmnpqrstvwxz2456789", 5)
	}},
	{regexp.MustCompile(`:[345]\d{4}\b`), func(r *rand.Rand) string { return fmt.Sprintf(":%d", 32768+r.Intn(28000)) }},
	{regexp.MustCompile(`\bcurl/[\d.]+`), func(r *rand.Rand) string { return fmt.Sprintf("curl/8.%d.%d", r.Intn(18), r.Intn(3)) }},
	{regexp.MustCompile(`\b\d+s$`), func(r *rand.Rand) string { return fmt.Sprintf("%ds", 1+r.Intn(99)) }},
	{regexp.MustCompile(`(?m)^(content-length|x-envoy-upstream-service-time): \d+`), nil},
	{regexp.MustCompile(`"X-Forwarded-For": "[^"]*"`), nil},
}

func letters(r *rand.Rand, of string, n int) string {
	var b strings.Builder
	for range n {
		b.WriteByte(of[r.Intn(len(of))])
	}
	return b.String()
}

// elsewhere returns an output as another run has it: what varies has other values, equal
// ones for equal ones.
func elsewhere(text string, r *rand.Rand) string {
	now := map[string]string{}
	for _, v := range values {
		if v.make == nil {
			continue
		}
		text = v.pattern.ReplaceAllStringFunc(text, func(old string) string {
			if now[old] == "" {
				now[old] = v.make(r)
				now[now[old]] = now[old]
			}
			return now[old]
		})
	}
	return text
}

// TestOtherRuns has each recorded output as other runs have it, with other pods,
// addresses, times and ids: each holds.
func TestOtherRuns(t *testing.T) {
	n, accepted := 0, 0
	for _, r := range readRecorded(t) {
		for seed := range int64(20) {
			other := elsewhere(r.Real, rand.New(rand.NewSource(seed)))
			n++
			if vs := r.judged(r.Shown, other, r.Codes); held(vs) {
				accepted++
			} else {
				t.Errorf("%s\n%s\n%v", r.Command, other, vs)
			}
		}
	}
	t.Logf("%d of %d other runs accepted", accepted, n)
}
