package pages

import (
	"path"
	"regexp"
	"slices"
	"strings"

	"mvdan.cc/sh/v3/syntax"
)

// onReadersMachine returns why a command is not run that only prepares its reader's machine:
// it fetches, unpacks and installs programs and files there, or makes images. It returns ""
// for any other command. If the page needs something of it, such as a file or a program,
// the command that needs it is the one that is refused.
func (m *mapper) onReadersMachine(c *command, texts []string) string {
	has := func(words ...string) bool { return len(texts) > 1 && slices.Contains(words, texts[1]) }
	switch texts[0] {
	case "git":
		if has("clone") {
			m.cloned = append(m.cloned, nameOfClone(texts[2:]))
			return "the files of a repository are looked for beside the page"
		}
		if has("checkout", "pull", "fetch", "switch") && len(c.st.shown) == 0 {
			return "the files of a repository are looked for beside the page, as they are there"
		}
	case "docker", "podman":
		if has("build", "push", "pull", "tag", "login", "images", "version", "buildx") {
			return "nothing of this machine is run, and the images that pods name must be where the cluster finds them"
		}
	case "apt", "apt-get", "yum", "dnf", "brew", "snap", "pip", "pip3":
		if has("install", "update", "upgrade", "tap") {
			return "it installs a program on this machine, and nothing of it is run"
		}
	case "sudo":
		if len(texts) > 1 && slices.Contains([]string{"apt", "apt-get", "yum", "dnf", "snap", "mv", "cp", "install", "chmod", "ln"}, texts[1]) {
			return "it installs a program on this machine, and nothing of it is run"
		}
	case "tar", "unzip", "gunzip", "chmod":
		if len(c.stages) == 1 {
			return "nothing is unpacked or changed on this machine: the files that the page needs must lie beside it"
		}
	case "wget", "curl":
		return fetches(c, texts)
	case "set":
		if len(texts) > 1 && (strings.HasPrefix(texts[1], "-") || strings.HasPrefix(texts[1], "+")) {
			return "each command is judged, and a failure ends the page, whatever set says"
		}
	case "source", ".":
		if strings.Contains(c.st.text(), " completion ") {
			return "it is for those who type"
		}
	case "alias":
		if strings.Trim(strings.Join(texts[1:], " "), `"'`) == "k=kubectl" {
			return "k is taken for kubectl anyway"
		}
	}
	return ""
}

// nameOfClone returns the folder that git clone makes.
func nameOfClone(args []string) string {
	var operands []string
	for i := 0; i < len(args); i++ {
		switch {
		case args[i] == "-b" || args[i] == "--branch" || args[i] == "--depth":
			i++
		case !strings.HasPrefix(args[i], "-"):
			operands = append(operands, args[i])
		}
	}
	if len(operands) == 0 {
		return ""
	}
	return strings.TrimSuffix(path.Base(strings.ReplaceAll(operands[len(operands)-1], ":", "/")), ".git")
}

// fromSite matches the address of something on a public site.
var fromSite = regexp.MustCompile(`^["']?https?://[\w-]+(?:\.[\w-]+)+(?:/|["']?$)`)

// fetches returns why a wget or curl that fetches a file or a program is not run. It returns
// "" for a request whose answer matters.
func fetches(c *command, texts []string) string {
	const file, program = "a file that is fetched must lie beside the page", "it installs a program on this machine, and nothing of it is run"
	if len(c.st.shown) > 0 || !slices.ContainsFunc(texts[1:], fromSite.MatchString) {
		return ""
	}
	saves := texts[0] == "wget"
	for i, w := range texts[1:] {
		switch {
		case w == "--remote-name", len(w) > 1 && w[0] == '-' && w[1] != '-' && strings.Contains(w, "O") && texts[0] == "curl":
			saves = true
		case w == "-o" || w == "--output", texts[0] == "curl" && len(w) > 2 && w[0] == '-' && w[1] != '-' && strings.HasSuffix(w, "o"):
			if i+2 < len(texts) && texts[i+2] != "/dev/null" && texts[i+2] != "-" {
				saves = true
			}
		case slices.Contains([]string{"-w", "--write-out", "-I", "--head", "-i", "-v", "-X", "-d", "-H", "--spider", "-S"}, w):
			return ""
		case texts[0] == "wget" && (w == "-qO-" || w == "-O-" || w == "-O" && i+2 < len(texts) && (texts[i+2] == "-" || texts[i+2] == "/dev/null")):
			saves = false
		}
	}
	if call, ok := c.stages[0].Cmd.(*syntax.CallExpr); ok && call != nil {
		for _, r := range c.stages[0].Redirs {
			saves = saves || r.Op == syntax.RdrOut && r.Word.Lit() != "/dev/null"
		}
	}
	if len(c.stages) > 1 {
		last, ok := c.stages[len(c.stages)-1].Cmd.(*syntax.CallExpr)
		if !ok || len(last.Args) == 0 {
			return ""
		}
		name := last.Args[0].Lit()
		if name == "sudo" && len(last.Args) > 1 {
			name = last.Args[1].Lit()
		}
		switch path.Base(name) {
		case "sh", "bash":
			return program
		case "tar", "gunzip", "tee":
			return file
		}
		return ""
	}
	if !saves {
		return ""
	}
	return file
}

// enter notes the folder that cd leads to, as seen from the page's own: a repository
// that was cloned is the page's folder.
func (m *mapper) enter(texts []string) {
	if len(texts) != 2 || strings.ContainsAny(texts[1], "$~") || path.IsAbs(texts[1]) {
		m.folder = ""
		return
	}
	to := strings.TrimSuffix(strings.TrimPrefix(texts[1], "./"), "/")
	first, rest, _ := strings.Cut(to, "/")
	if m.folder == "" && slices.Contains(m.cloned, first) {
		to = rest
	}
	if m.folder = path.Join(m.folder, to); m.folder == "." || strings.HasPrefix(m.folder, "..") {
		m.folder = ""
	}
}

// here returns the path of a file beside the page as a command names it that is typed
// in the folder to which cd has led; the name itself where there is none.
func (m *mapper) here(name string) string {
	if m.folder == "" || path.IsAbs(name) || strings.Contains(name, "://") {
		return name
	}
	if there := path.Join(m.folder, name); !strings.HasPrefix(there, "..") {
		if _, err := m.readFile(there); err == nil {
			return there
		}
	}
	return name
}
