package runner

import (
	"net/http"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/egressplay/egressplay/evidence"
)

// maxShown is how much of a step's output goes into an event, in bytes.
const maxShown = 64 << 10

// Plain returns text that a terminal shows as it is: without escape sequences
// and control characters (line feeds and tabs stay, CR LF becomes a line
// feed), as valid UTF-8, and at most 64 KiB of it. Output from pods is not to
// be trusted with the reader's terminal.
func Plain(text string) string {
	cut := false
	if len(text) > maxShown {
		text, cut = text[:maxShown], true
	}
	var b strings.Builder
	b.Grow(len(text))
	for i := 0; i < len(text); {
		c, size := utf8.DecodeRuneInString(text[i:])
		switch {
		case c == utf8.RuneError && size == 1:
			b.WriteRune(utf8.RuneError)
		case c == 0x1b || c == 0x9b:
			size = escapeLen(text[i:], size)
		case c == '\n' || c == '\t':
			b.WriteRune(c)
		case c < 0x20 || 0x7f <= c && c <= 0x9f:
		case 0x202a <= c && c <= 0x202e || 0x2066 <= c && c <= 0x2069: // reorders what is shown
		default:
			b.WriteRune(c)
		}
		i += size
	}
	if cut {
		b.WriteString("\n… (more was cut)")
	}
	return b.String()
}

// escapeLen returns the length of the escape sequence at the start of s, whose
// first character has the given size (ECMA-48, "Control functions").
func escapeLen(s string, size int) int {
	csi := s[0] != 0x1b // the 8-bit form of ESC [
	i := size
	if !csi {
		if i >= len(s) {
			return i
		}
		switch s[i] {
		case '[':
			csi = true
			i++
		case ']', 'P', 'X', '^', '_': // a string, up to BEL or ESC \
			for i++; i < len(s); i++ {
				if s[i] == 0x07 {
					return i + 1
				}
				if s[i] == 0x1b {
					if i+1 < len(s) && s[i+1] == '\\' {
						return i + 2
					}
					return i
				}
			}
			return i
		default:
			for i < len(s) && 0x20 <= s[i] && s[i] <= 0x2f {
				i++
			}
			if i < len(s) && 0x30 <= s[i] && s[i] <= 0x7e {
				i++
			}
			return i
		}
	}
	for i < len(s) && 0x20 <= s[i] && s[i] <= 0x3f {
		i++
	}
	if i < len(s) && 0x40 <= s[i] && s[i] <= 0x7e {
		i++
	}
	return i
}

// plainVerdict makes the texts of a verdict fit to be shown.
func plainVerdict(v *evidence.Verdict) {
	for _, text := range []*string{&v.What, &v.Want, &v.Got, &v.Why, &v.Hint} {
		*text = Plain(*text)
	}
	for i := range v.Facts {
		v.Facts[i] = Plain(v.Facts[i])
	}
}

// shown returns what an event shows of an attempt: every text bounded and
// without control sequences.
func shown(a *evidence.Attempt) *evidence.Attempt {
	if a == nil || a.Command == nil {
		return nil
	}
	b := *a
	c := *a.Command
	c.Stdout, c.Stderr = Plain(c.Stdout), Plain(c.Stderr)
	c.Argv = plainEach(c.Argv)
	b.Command, b.Body, b.Text = &c, Plain(b.Body), Plain(b.Text)
	b.Responses = each(b.Responses, func(r *evidence.Response) {
		header := make(http.Header, len(r.Header))
		for name, values := range r.Header {
			header[Plain(name)] = plainEach(values)
		}
		r.Header = header
	})
	b.Transfers = each(b.Transfers, func(t *evidence.Transfer) {
		plainAll(&t.URL, &t.Error, &t.GRPCStatus, &t.ContentType)
	})
	b.Lines = each(b.Lines, func(l *evidence.Line) {
		plainAll(&l.Text, &l.Method, &l.Path, &l.Protocol, &l.Details, &l.Termination, &l.TransportFailure,
			&l.Authority, &l.UpstreamHost, &l.Cluster, &l.SNI, &l.Route)
	})
	b.Unread = each(b.Unread, func(u *evidence.Unread) { plainAll(&u.Text) })
	b.Ways = each(b.Ways, func(w *evidence.Way) { plainAll(&w.Cluster, &w.Authority, &w.SNI, &w.Why, &w.Unknown) })
	// What concerns nobody in this attempt is not worth its length.
	b.Counters = nil
	for _, c := range a.Counters {
		if c.Grew != 0 && len(b.Counters) < maxListed {
			b.Counters = append(b.Counters, c)
		}
	}
	if a.Arrivals != nil {
		arrivals := *a.Arrivals
		arrivals.All = each(arrivals.All, func(r *evidence.Arrival) {
			plainAll(&r.Host, &r.SNI, &r.ALPN, &r.Protocol, &r.Method, &r.Path, &r.ClientCertificate, &r.Error, &r.Site)
		})
		b.Arrivals = &arrivals
	}
	return &b
}

// maxListed is how many items of a list go into an event.
const maxListed = 100

func each[T any](list []T, change func(*T)) []T {
	list = slices.Clone(list[:min(len(list), maxListed)])
	for i := range list {
		change(&list[i])
	}
	return list
}

func plainEach(texts []string) []string {
	return each(texts, func(text *string) { *text = Plain(*text) })
}

func plainAll(texts ...*string) {
	for _, text := range texts {
		*text = Plain(*text)
	}
}
