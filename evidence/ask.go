package evidence

import (
	"net"
	"net/url"
	"strings"
)

// An ask is what one request asks for, as far as curl's URLs show it.
type ask struct {
	tls        bool
	host, port string
	path       string // with the query
}

// asksOf returns what the attempt's requests ask for, in order: each transfer's URL,
// and if the heads were printed, the target of each redirect.
func asksOf(a *Attempt) []ask {
	var asks []ask
	heads := a.Responses
	if !a.Command.Curl.HeadsShown {
		heads = nil
	}
	for _, t := range a.Transfers {
		if t.Local == "" {
			continue
		}
		u := ParseURL(t.URL)
		if u == nil {
			continue
		}
		asks = append(asks, askOf(u))
		for range t.Redirects {
			u, heads = redirected(u, heads)
			if u == nil {
				break
			}
			asks = append(asks, askOf(u))
		}
		if len(heads) > 0 {
			heads = heads[1:] // the response of the last one
		}
	}
	return asks
}

// redirected returns the target of the next redirect in heads, and the responses after
// it.
func redirected(from *url.URL, heads []Response) (*url.URL, []Response) {
	for i, r := range heads {
		if r.Status >= 300 && r.Status < 400 && r.Header.Get("Location") != "" {
			to, err := from.Parse(r.Header.Get("Location"))
			if err != nil {
				return nil, heads[i+1:]
			}
			return to, heads[i+1:]
		}
	}
	return nil, nil
}

// ParseURL reads a URL as curl does, which needs no http://; it returns nil for a URL
// without a host.
func ParseURL(text string) *url.URL {
	if !strings.Contains(text, "://") {
		text = "http://" + text
	}
	u, err := url.Parse(text)
	if err != nil || u.Hostname() == "" {
		return nil
	}
	return u
}

func askOf(u *url.URL) ask {
	a := ask{tls: u.Scheme == "https", host: strings.ToLower(u.Hostname()), port: u.Port(), path: u.RequestURI()}
	if a.port == "" {
		a.port = "80"
		if a.tls {
			a.port = "443"
		}
	}
	return a
}

// fits reports whether a line may belong to the request.
func (k ask) fits(l *Line) bool {
	_, port, err := net.SplitHostPort(l.DownstreamLocal)
	if err == nil && port != k.port {
		return false
	}
	if l.Method == "" {
		return l.SNI == "" || strings.EqualFold(l.SNI, k.host)
	}
	host := strings.ToLower(l.Authority)
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	return !k.tls && host == k.host && l.Path == k.path
}
