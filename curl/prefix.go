package curl

import (
	"path"
	"regexp"
	"slices"
	"strings"
)

// A prefix is a program that runs the command after its own options and does not change
// the command's output and exit code.
type prefix struct {
	short    string   // short options that take a value
	valued   []string // long options that take a value
	flags    string   // short options that take none
	long     []string // long options that take none
	operands int      // words between the options and the command
}

// prefixes are the known prefixes, of coreutils and busybox.
// Sources: "info coreutils"; time(1).
var prefixes = map[string]prefix{
	"env":     {short: "uC", valued: []string{"unset", "chdir"}, flags: "iv", long: []string{"ignore-environment", "debug"}},
	"nice":    {short: "n", valued: []string{"adjustment"}, flags: "0123456789"},
	"nohup":   {},
	"stdbuf":  {short: "ioe", valued: []string{"input", "output", "error"}},
	"time":    {short: "fo", valued: []string{"format", "output"}, flags: "apqv", long: []string{"append", "portability", "quiet", "verbose"}},
	"timeout": {short: "ks", valued: []string{"kill-after", "signal"}, flags: "fpv", long: []string{"foreground", "preserve-status", "verbose"}, operands: 1},
}

// mentionsCurl finds the word curl, or a path to it, in a text.
var mentionsCurl = regexp.MustCompile(`(^|[^\w.-])curl($|[^\w.-])`)

// read reads a command line that may run curl, and returns the changes of its words. ok
// is false if it does not run curl.
func (c *Command) read(words []string) (ch changes, ok bool) {
	if len(words) == 0 {
		return changes{}, false
	}
	name := path.Base(words[0])
	if name == "curl" {
		c.program = append(c.program, words[0])
		return c.readOptions(words[1:]).shift(1), true
	}
	if slices.Contains(shells, name) {
		c.program = append(c.program, words...)
		return c.readShell(words)
	}
	p, ok := prefixes[name]
	if !ok {
		c.program = append(c.program, words[0])
		return changes{}, false
	}
	n, ok := p.skip(words)
	if !ok {
		c.program = append(c.program, words...)
		c.Unreported = "the options of " + name + " in front of it are not known here"
		return changes{}, slices.ContainsFunc(words, func(w string) bool { return path.Base(w) == "curl" })
	}
	if name == "env" {
		for ; n < len(words) && strings.Contains(words[n], "="); n++ {
			c.takeVariable(words[n])
		}
	}
	c.program = append(c.program, words[:n]...)
	ch, ok = c.read(words[n:])
	return ch.shift(n), ok
}

// skip returns how many words precede the command, and whether all of them are known.
func (p prefix) skip(words []string) (int, bool) {
	i := 1
	for ; i < len(words) && strings.HasPrefix(words[i], "-"); i++ {
		word := words[i]
		if word == "--" {
			i++
			break
		}
		if long, ok := strings.CutPrefix(word, "--"); ok {
			name, _, attached := strings.Cut(long, "=")
			switch {
			case slices.Contains(p.valued, name) && !attached:
				i++
			case slices.Contains(p.valued, name), slices.Contains(p.long, name):
			default:
				return 0, false
			}
			continue
		}
		for j := 1; j < len(word); j++ {
			if strings.IndexByte(p.short, word[j]) >= 0 {
				if j+1 == len(word) {
					i++ // the value is the next word
				}
				break
			}
			if strings.IndexByte(p.flags, word[j]) < 0 {
				return 0, false
			}
		}
	}
	return min(i+p.operands, len(words)), true
}

// takeVariable notes a proxy that NAME=VALUE sets for curl (the man page of
// curl, "ENVIRONMENT").
func (c *Command) takeVariable(assignment string) {
	switch name, value, _ := strings.Cut(assignment, "="); name {
	case "http_proxy", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY":
		c.Proxy = value
	}
}
