package pages

import (
	"regexp"
	"slices"
	"sort"
	"strings"
	"unicode/utf8"

	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/text"
	"github.com/yuin/goldmark/util"

	"github.com/egressplay/egressplay/nearest"
)

// A line is a line of a fence: its text without what Markdown puts in front of it,
// and where that text begins.
type line struct {
	text         string
	line, column int
}

// A fence is a block of code.
type fence struct {
	tag     string // in lower case; "" for none
	info    string // all that stands behind the fence
	lines   []line
	at, end int // the lines of the fence itself
	tab     *tab
	noSnip  bool   // its author says that nobody is to test it
	closed  string // the summary of the part that a reader leaves closed; "" for none
}

// A tab is one of several variants of a part of the page.
type tab struct {
	name  string
	set   int // the tabset, from 1
	first bool
	at    int
}

// A heading or a paragraph.
type prose struct {
	at, end int
	level   int // of a heading; 0 for a paragraph
	text    string
}

// A comment is an HTML comment for us.
type comment struct {
	at, column int
	text       string // without the marks
	// slip says that its first word is most probably a slip of ours.
	slip bool
}

// A page is a page as it was read.
type page struct {
	lines        []string
	fences       []*fence
	prose        []prose
	comments     []comment
	tabs         []*tab
	boilerplates []include
	details      []detail
}

// An include is a part of the page that stands in another file.
type include struct {
	at   int
	name string
}

// read reads a page. Everything is in the page's order.
func read(data string) *page {
	p := &page{lines: strings.Split(data, "\n")}
	for i := range p.lines {
		p.lines[i] = strings.TrimSuffix(p.lines[i], "\r")
	}
	source := p.prepare()
	p.markdown(source)
	sort.SliceStable(p.fences, func(i, j int) bool { return p.fences[i].at < p.fences[j].at })
	p.findDetails(func(at int) bool { return p.fenceAt(at) == nil })
	p.fences = slices.DeleteFunc(p.fences, func(f *fence) bool {
		f.closed = p.closed(f.at)
		return f.closed != "" && isData(f)
	})
	return p
}

var (
	inSite     = regexp.MustCompile(`\{\{<\s*github_(?:file|tree|blob)\s*>\}\}/`)
	shortcode  = regexp.MustCompile(`^\s*\{\{[<%]\s*(/?[a-z_-]+)\s*(.*?)\s*[>%]\}\}`)
	textBegins = regexp.MustCompile(`\{\{<\s*text\s+(.*?)\s*>\}\}\s*$`)
	textEnds   = regexp.MustCompile(`^\s*\{\{<\s*/text\s*>\}\}`)
	opens      = regexp.MustCompile("^[\\s>]*(?:[-*+]\\s+|\\d+[.)]\\s+)?(`{3,}|~{3,})[^`]*$")
	killercoda = regexp.MustCompile("^(\\s*)```\\{\\{[\\w ]+\\}\\}\\s*$")
)

// fenceAt returns the fence that a line lies in; nil for none.
func (p *page) fenceAt(at int) *fence {
	for _, f := range p.fences {
		if f.at <= at && at <= f.end {
			return f
		}
	}
	return nil
}

// isData reports whether a fence says that it has no commands.
func isData(f *fence) bool { return f.tag != "" && !shellTags[f.tag] && !hasCommand(f) }

// prepare makes Markdown of what is none: the blocks and the shortcodes of Hugo, the
// fences of Killercoda, the front matter. Each line stays in its place.
func (p *page) prepare() string {
	out := make([]string, len(p.lines))
	i := 0
	if len(p.lines) > 0 && p.lines[0] == "---" {
		for j := 1; j < len(p.lines); j++ {
			if p.lines[j] == "---" {
				i = j + 1
				break
			}
		}
	}
	var current *tab
	sets, open := 0, ""
	for ; i < len(p.lines); i++ {
		l := p.lines[i]
		if open != "" {
			if m := killercoda.FindStringSubmatch(l); m != nil && open[0] == '`' {
				l = m[1] + open
			}
			if t := strings.Trim(l, " \t>"); strings.HasPrefix(t, open) && strings.Trim(t, open[:1]) == "" {
				open = ""
			}
			out[i] = l
			continue
		}
		if m := textBegins.FindStringSubmatch(l); m != nil {
			i = p.hugoText(i, m[1], current)
			continue
		}
		if m := opens.FindStringSubmatch(l); m != nil {
			open = m[1]
			out[i] = l
			continue
		}
		m := shortcode.FindStringSubmatch(l)
		if m == nil {
			out[i] = l
			continue
		}
		switch m[1] {
		case "tabset":
			sets++
		case "tab":
			current = &tab{name: attributeOf(m[2], "name"), set: sets, at: i + 1}
			current.first = len(p.tabs) == 0 || p.tabs[len(p.tabs)-1].set != sets
			p.tabs = append(p.tabs, current)
		case "/tab", "/tabset":
			current = nil
		case "boilerplate":
			p.boilerplates = append(p.boilerplates, include{i + 1, strings.Trim(m[2], `" `)})
		}
	}
	return strings.Join(out, "\n")
}

func attributeOf(text, name string) string {
	rest := text
	for {
		i := strings.Index(rest, name+"=")
		if i < 0 {
			return ""
		}
		if i == 0 || rest[i-1] == ' ' {
			value := rest[i+len(name)+1:]
			if strings.HasPrefix(value, `"`) {
				value, _, _ = strings.Cut(value[1:], `"`)
				return value
			}
			value, _, _ = strings.Cut(value, " ")
			return value
		}
		rest = rest[i+1:]
	}
}

// hugoText reads a block of Hugo that begins in line i, from 0, and returns its
// last line.
func (p *page) hugoText(i int, info string, in *tab) int {
	f := &fence{info: info, at: i + 1, tab: in}
	f.tag = strings.ToLower(attributeOf(info, "syntax"))
	if f.tag == "" {
		f.tag, _, _ = strings.Cut(strings.ToLower(info), " ")
	}
	f.noSnip = strings.Contains(info, "snip_id=none")
	indent := p.lines[i][:len(p.lines[i])-len(strings.TrimLeft(p.lines[i], " \t"))]
	j := i + 1
	for ; j < len(p.lines) && !textEnds.MatchString(p.lines[j]); j++ {
		t, cut := p.lines[j], 0
		for cut < len(indent) && cut < len(t) && t[cut] == indent[cut] {
			cut++
		}
		f.lines = append(f.lines, line{inSite.ReplaceAllString(t[cut:], ""), j + 1, cut + 1})
	}
	f.end = j + 1
	p.fences = append(p.fences, f)
	return j
}

// markdown finds what Markdown has.
func (p *page) markdown(source string) {
	data := []byte(source)
	starts := []int{0}
	for i, c := range data {
		if c == '\n' {
			starts = append(starts, i+1)
		}
	}
	lineAt := func(offset int) int { return sort.SearchInts(starts, offset+1) }
	columnAt := func(offset int) int { return utf8.RuneCount(data[starts[lineAt(offset)-1]:offset]) + 1 }
	root := goldmark.New().Parser().Parse(text.NewReader(data))
	_ = ast.Walk(root, func(n ast.Node, entering bool) (ast.WalkStatus, error) {
		if !entering {
			return ast.WalkContinue, nil
		}
		switch n := n.(type) {
		case *ast.FencedCodeBlock:
			f := &fence{}
			if n.Info != nil {
				f.info = string(n.Info.Segment.Value(data))
				f.tag = strings.ToLower(string(n.Language(data)))
				f.tag = strings.Trim(f.tag, "{}.")
				f.at = lineAt(n.Info.Segment.Start)
			}
			for i := range n.Lines().Len() {
				s := n.Lines().At(i)
				f.lines = append(f.lines, line{strings.TrimRight(string(s.Value(data)), "\r\n"), lineAt(s.Start), columnAt(s.Start)})
			}
			if len(f.lines) == 0 {
				return ast.WalkContinue, nil
			}
			if f.at == 0 {
				f.at = f.lines[0].line - 1
			}
			f.end = f.lines[len(f.lines)-1].line + 1
			f.tab = p.tabAt(f.at)
			p.fences = append(p.fences, f)
		case *ast.Heading:
			if n.Lines().Len() > 0 {
				at := lineAt(n.Lines().At(0).Start)
				p.prose = append(p.prose, prose{at: at, end: at, level: n.Level, text: plain(n, data)})
			}
		case *ast.Paragraph, *ast.TextBlock:
			if n.Lines().Len() > 0 {
				last := n.Lines().At(n.Lines().Len() - 1)
				p.prose = append(p.prose, prose{at: lineAt(n.Lines().At(0).Start), end: lineAt(max(last.Start, last.Stop-1)), text: plain(n, data)})
			}
		case *ast.HTMLBlock:
			var b strings.Builder
			for i := range n.Lines().Len() {
				s := n.Lines().At(i)
				b.Write(s.Value(data))
			}
			if n.HasClosure() {
				b.Write(n.ClosureLine.Value(data))
			}
			if n.Lines().Len() > 0 {
				start := n.Lines().At(0).Start
				p.comment(b.String(), lineAt(start), columnAt(start))
			}
		case *ast.RawHTML:
			if n.Segments.Len() > 0 {
				start := n.Segments.At(0).Start
				p.comment(string(n.Segments.Value(data)), lineAt(start), columnAt(start))
			}
		}
		return ast.WalkContinue, nil
	})
}

// ours is the word with which the comments begin that are for us.
const ours = "egressplay"

var firstWord = regexp.MustCompile(`^[A-Za-z-]*`)

// isSlip reports whether a word is most probably a slip of [ours].
func isSlip(word string) bool { return word != ours && nearest.Within(word, ours, 2) }

// comment notes a comment that is for us.
func (p *page) comment(html string, at, column int) {
	body := strings.TrimSpace(html)
	inner, ok := strings.CutPrefix(body, "<!--")
	if !ok {
		return
	}
	inner, _, _ = strings.Cut(inner, "-->")
	word := firstWord.FindString(strings.TrimSpace(inner))
	if isSlip(word) || word == ours {
		p.comments = append(p.comments, comment{at: at, column: column, text: inner, slip: word != ours})
	}
}

// tabAt returns the tab that a line of Markdown lies in: that of Hugo which was
// opened last and not closed.
func (p *page) tabAt(at int) *tab {
	var in *tab
	for i := at - 1; i > 0; i-- {
		m := shortcode.FindStringSubmatch(p.lines[i-1])
		if m == nil {
			continue
		}
		switch m[1] {
		case "/tab", "/tabset", "tabset":
			return nil
		case "tab":
			for _, t := range p.tabs {
				if t.at == i {
					in = t
				}
			}
			return in
		}
	}
	return nil
}

// plain returns the text of a node without its marks.
func plain(n ast.Node, data []byte) string {
	var b strings.Builder
	_ = ast.Walk(n, func(n ast.Node, entering bool) (ast.WalkStatus, error) {
		if !entering {
			return ast.WalkContinue, nil
		}
		switch n := n.(type) {
		case *ast.Text:
			b.Write(util.ResolveEntityNames(util.UnescapePunctuations(n.Segment.Value(data))))
			if n.SoftLineBreak() || n.HardLineBreak() {
				b.WriteByte(' ')
			}
		case *ast.String:
			b.Write(n.Value)
		}
		return ast.WalkContinue, nil
	})
	return strings.Join(strings.Fields(b.String()), " ")
}

// headingBefore returns the heading that a line lies below; nil for none.
func (p *page) headingBefore(at int) *prose {
	var h *prose
	for i := range p.prose {
		if p.prose[i].at < at && p.prose[i].level > 0 {
			h = &p.prose[i]
		}
	}
	return h
}

// textBefore returns the paragraph above a line, if no fence and no heading lies
// between them.
func (p *page) textBefore(at int) *prose {
	var t *prose
	for i := range p.prose {
		if p.prose[i].end < at {
			t = &p.prose[i]
		}
	}
	if t == nil || t.level > 0 {
		return nil
	}
	for _, f := range p.fences {
		if f.at > t.end && f.end < at {
			return nil
		}
	}
	return t
}

// textBehind returns the paragraph behind a line, if no fence and no heading lies
// between them.
func (p *page) textBehind(at int) *prose {
	for i := range p.prose {
		t := &p.prose[i]
		if t.at <= at {
			continue
		}
		for _, f := range p.fences {
			if f.at > at && f.at < t.at {
				return nil
			}
		}
		if t.level > 0 {
			return nil
		}
		return t
	}
	return nil
}
