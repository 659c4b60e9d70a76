package curl

import (
	"crypto/rand"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A Command is a command line that runs curl, as far as it can be read without
// running it. It does not know what a .curlrc in the pod adds.
type Command struct {
	// Argv is the command line to run: the author's, with the options for a report. If
	// Unreported is set, it is exactly the author's.
	Argv []string
	// Unreported is why curl cannot report on itself, such as "it reads options from a
	// file (--config)"; "" if it does. If it is set, nothing below is known.
	Unreported string

	// URLs is how many URLs the command names; -1 if only curl itself knows, because
	// one of them is a pattern such as http://host/[1-3].
	URLs int
	// HeadsToStdout and BodyToStdout report whether curl writes the heads and
	// the bodies of all its responses to stdout. A HEAD request has no body.
	HeadsToStdout, BodyToStdout bool
	// Mixed is why heads and bodies cannot be found in stdout although they are there,
	// such as "--trace writes to stdout, too"; "" if they can.
	Mixed string

	// FollowsRedirects reports whether curl follows redirects.
	FollowsRedirects bool
	// Retries reports whether curl may make a request again (--retry).
	Retries bool
	// Waits reports whether curl waits between its transfers (--rate), so that they
	// take less time than the command.
	Waits bool
	// FixedPort reports whether an option names the port that curl sends from
	// (--local-port), so the next command may use it again.
	FixedPort bool
	// MaxTime is the longest time that a transfer may take; 0 for no limit.
	MaxTime time.Duration
	// Proxy is the proxy that an option or a variable in front of the command
	// names; "" for none. The pod's environment may name another.
	Proxy string
	// Rerouted reports whether an option has curl connect elsewhere than to the
	// host that a URL names: --connect-to, --resolve, --unix-socket, or a proxy.
	Rerouted bool

	program []string // see [Program]

	mark     string // between the parts of a report
	bounded  bool   // a mark follows the output of the author's --write-out
	asked    string // the author's own --write-out
	targets  []target
	heads    bool // -i or -I
	noBody   bool // -I
	dump     bool // -D -
	recoded  bool // curl changes the body, so that its size is not known
	noTunnel bool // --suppress-connect-headers
}

// A target is a URL and the place of its output. curl pairs the first URL with
// the first --output, and so on (src/tool_getparam.c, add_url and
// parse_output).
type target struct {
	url             string
	hasURL, hasFile bool // each is set once
	elsewhere       bool // not to stdout
}

// Parse reads a command line that runs curl: the word curl, or a path to it, after
// words such as env NAME=VALUE or timeout 5, or in the script of a shell, as in sh -c
// 'curl URL'. The second result is false if argv does not run curl.
func Parse(argv []string) (*Command, bool) {
	c := &Command{mark: rand.Text()[:13]} // 65 bits: no output has it by chance
	changed, ok := c.read(argv)
	if !ok {
		return nil, false
	}
	if c.Unreported != "" {
		return &Command{Argv: argv, Unreported: c.Unreported, URLs: -1}, true
	}
	c.Argv = changed.apply(argv)
	return c, true
}

// Program returns the words of a command line by which [Parse] decides whether it runs
// curl: the name of the program and the words before it, such as env or timeout 5; for
// a shell, its script. While one of them is not known, the program is not known.
func Program(argv []string) []string {
	var c Command
	c.read(argv)
	return c.program
}

// changes are edits of the words of a command line.
type changes struct {
	replace map[int]string // a word by another
	insert  []string       // before the word at
	at      int
}

func (ch changes) apply(words []string) []string {
	out := slices.Clone(words)
	for i, word := range ch.replace {
		out[i] = word
	}
	return slices.Insert(out, ch.at, ch.insert...)
}

// shift returns the changes for a command line that has n more words in front.
func (ch changes) shift(n int) changes {
	moved := changes{replace: map[int]string{}, insert: ch.insert, at: ch.at + n}
	for i, word := range ch.replace {
		moved.replace[i+n] = word
	}
	return moved
}

// readOptions reads the words after the word curl, and returns the changes that have
// curl report: our --write-out in front of them, or within the author's own.
func (c *Command) readOptions(words []string) changes {
	args, err := arguments(words)
	if err != nil {
		c.Unreported = err.Error()
		return changes{}
	}
	globs, remoteAll := true, false
	var formats []argument
	stdout := map[string]bool{}
	for _, arg := range args {
		switch arg.name {
		case "url":
			c.takeURL(arg.value, remoteAll)
		case "output":
			c.takeFile(!isStdout(arg.value), remoteAll)
		case "out-null":
			c.takeFile(!arg.off, remoteAll)
		case "remote-name":
			if !arg.off || remoteAll {
				c.takeFile(!arg.off, remoteAll)
			}
		case "remote-name-all":
			remoteAll = !arg.off
		case "globoff":
			globs = arg.off
		case "upload-file":
			if strings.ContainsAny(arg.value, "{[") {
				c.URLs = -1
			}
		case "include", "show-headers":
			c.heads = !arg.off
		case "head":
			c.heads, c.noBody = !arg.off, !arg.off
		case "dump-header":
			c.dump = isStdout(arg.value)
		case "location", "location-trusted", "follow":
			c.FollowsRedirects = !arg.off
		case "retry":
			n, err := strconv.Atoi(arg.value)
			c.Retries = err != nil || n > 0
		case "rate":
			c.Waits = true
		case "local-port":
			c.FixedPort = true
		case "max-time":
			seconds, _ := strconv.ParseFloat(arg.value, 64) // curl refuses a value that is not a number
			c.MaxTime = time.Duration(seconds * float64(time.Second))
		case "proxy", "proxy1.0", "preproxy", "socks4", "socks4a", "socks5", "socks5-hostname":
			c.Proxy = arg.value
		case "connect-to", "resolve", "unix-socket", "abstract-unix-socket":
			c.Rerouted = true
		case "compressed", "raw", "tr-encoding":
			c.recoded = true
		case "suppress-connect-headers":
			c.noTunnel = !arg.off
		case "trace", "trace-ascii", "stderr", "libcurl", "cookie-jar", "etag-save":
			stdout[arg.name] = isStdout(arg.value)
		case "write-out":
			formats = append(formats, arg)
			c.asked = arg.value
		case "config":
			c.Unreported = "it reads options from a file (--config)"
		case "next":
			c.Unreported = "it has several commands in one (--next)"
		case "parallel", "parallel-immediate":
			c.Unreported = "its transfers run at the same time (--parallel)"
		}
	}
	if strings.HasPrefix(c.asked, "@") {
		c.Unreported = "the format of its --write-out is in a file"
	}
	for name, is := range stdout {
		if is {
			c.Mixed = "--" + name + " writes to stdout, too"
		}
	}
	c.finish(globs)
	return c.report(words, formats)
}

// isStdout reports whether a file's name means stdout.
func isStdout(name string) bool {
	switch name {
	case "-", "/dev/stdout", "/dev/fd/1", "/proc/self/fd/1":
		return true
	}
	return false
}

// takeURL sets the URL of the first target that has none.
func (c *Command) takeURL(url string, remoteAll bool) {
	i := slices.IndexFunc(c.targets, func(t target) bool { return !t.hasURL })
	if i < 0 {
		i = len(c.targets)
		c.targets = append(c.targets, target{elsewhere: remoteAll})
	}
	c.targets[i].url, c.targets[i].hasURL = url, true
}

// takeFile sets the place of output of the first target that has none.
func (c *Command) takeFile(elsewhere, remoteAll bool) {
	i := slices.IndexFunc(c.targets, func(t target) bool { return !t.hasFile })
	if i < 0 {
		i = len(c.targets)
		c.targets = append(c.targets, target{elsewhere: remoteAll})
	}
	c.targets[i].elsewhere, c.targets[i].hasFile = elsewhere, true
}

// finish derives the fields that depend on all targets.
func (c *Command) finish(globs bool) {
	c.Rerouted = c.Rerouted || c.Proxy != ""
	c.BodyToStdout, c.HeadsToStdout = !c.noBody, c.heads || c.dump
	for _, t := range c.targets {
		if !t.hasURL {
			continue
		}
		if t.elsewhere {
			c.BodyToStdout = false
			c.HeadsToStdout = c.HeadsToStdout && c.dump
		} else if c.heads && c.dump {
			c.Mixed = "--include and --dump-header both write the heads to stdout"
		}
		switch {
		case strings.HasPrefix(t.url, "@"), globs && strings.ContainsAny(withoutIPv6(t.url), "{["):
			c.URLs = -1
		case c.URLs >= 0:
			c.URLs++
		}
	}
	if c.Retries && (c.recoded || c.noTunnel) {
		c.Mixed = "with --retry and without the size of what is printed, it is not known where the last response begins"
	}
	if c.Mixed != "" {
		c.BodyToStdout, c.HeadsToStdout = false, false
	}
}

// withoutIPv6 returns a URL without an IPv6 address of its host, whose brackets are not
// a pattern.
func withoutIPv6(url string) string {
	before, rest, ok := strings.Cut(url, "[")
	inside, after, closed := strings.Cut(rest, "]")
	if !ok || !closed || strings.Count(inside, ":") < 2 {
		return url
	}
	return before + after
}

// report returns the changes that have curl report. Where the author has a
// --write-out, ours goes into it. Otherwise it goes in front of all words, where no
// "--" has ended the options; a -q counts only as the first of them.
func (c *Command) report(words []string, formats []argument) changes {
	format := c.format()
	if len(formats) == 0 {
		insert := []string{"--write-out", format}
		if len(words) > 0 && (strings.HasPrefix(words[0], "-q") || words[0] == "--disable") {
			insert = slices.Insert(insert, 0, "-q")
		}
		return changes{insert: insert}
	}
	ch := changes{replace: map[int]string{}}
	c.bounded = isClosed(c.asked)
	for _, arg := range formats { // the last one counts
		value := format + arg.value
		if c.bounded {
			value += "%{stdout}" + c.mark
		}
		ch.replace[arg.word] = words[arg.word][:arg.at] + value
	}
	return ch
}

// isClosed reports whether text after a format of --write-out is written as it is: the
// format does not end within a variable or an escape, and does not suppress the rest.
func isClosed(format string) bool {
	if strings.Contains(strings.ToLower(format), "%{onerror}") {
		return false
	}
	for i := 0; i < len(format); i++ {
		switch rest := format[i:]; {
		case rest == "%" || rest == `\`:
			return false
		case strings.HasPrefix(rest, "%{"), strings.HasPrefix(rest, "%header{"), strings.HasPrefix(rest, "%output{"), strings.HasPrefix(rest, "%time{"):
			end := strings.IndexByte(rest, '}')
			if end < 0 {
				return false
			}
			i += end
		case rest[0] == '%' || rest[0] == '\\':
			i++
		}
	}
	return true
}
