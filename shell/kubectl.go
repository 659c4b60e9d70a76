package shell

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// A Kubectl is a kubectl command line, read as kubectl reads it.
type Kubectl struct {
	// Verb is the command, with its second word if it has one: "create secret
	// tls", "rollout status".
	Verb string
	// Args are the operands.
	Args []string
	// Command is the command of exec and run.
	Command []string

	flags map[string][]string
}

// Flag returns the last value of a flag by its long name, "" if it is not set.
func (k *Kubectl) Flag(name string) string {
	values := k.flags[name]
	if len(values) == 0 {
		return ""
	}
	return values[len(values)-1]
}

// All returns all values of a flag.
func (k *Kubectl) All(name string) []string { return k.flags[name] }

// Is reports whether a flag without a value is set.
func (k *Kubectl) Is(name string) bool { return k.Flag(name) == "true" }

// Namespace returns the namespace that the command line names; "" for none.
func (k *Kubectl) Namespace() string { return k.Flag("namespace") }

// Flags returns the names of the flags that are set, sorted.
func (k *Kubectl) Flags() []string { return slices.Sorted(maps.Keys(k.flags)) }

// A flagSet has the flags of a command: those with a value end in "=".
type flagSet string

// kubectlFlags are the supported flags, by command. A flag's letter, if it has one,
// follows a slash.
var kubectlFlags = map[string]flagSet{
	"annotate":                    "overwrite all local resource-version=",
	"apply":                       "filename/f= kustomize/k= recursive/R server-side force-conflicts validate= overwrite wait field-manager= dry-run= output/o=",
	"create":                      "filename/f= validate= save-config dry-run= output/o=",
	"create clusterrole":          "verb= resource= resource-name= dry-run= output/o=",
	"create clusterrolebinding":   "clusterrole= serviceaccount= user= group= dry-run= output/o=",
	"create configmap":            "from-file= from-literal= dry-run= output/o=",
	"create deployment":           "image= replicas/r= port= dry-run= output/o=",
	"create namespace":            "dry-run= output/o=",
	"create role":                 "verb= resource= resource-name= dry-run= output/o=",
	"create rolebinding":          "role= clusterrole= serviceaccount= user= group= dry-run= output/o=",
	"create secret generic":       "from-file= from-literal= type= dry-run= output/o=",
	"create secret tls":           "cert= key= dry-run= output/o=",
	"create service clusterip":    "tcp= clusterip= dry-run= output/o=",
	"create service externalname": "external-name= tcp= dry-run= output/o=",
	"create service nodeport":     "tcp= node-port= dry-run= output/o=",
	"create serviceaccount":       "dry-run= output/o=",
	"delete":                      "filename/f= kustomize/k= ignore-not-found wait force grace-period= selector/l= all recursive/R now",
	"describe":                    "selector/l=",
	"exec":                        "container/c= stdin/i tty/t quiet/q",
	"expose":                      "port= target-port= name= type= protocol= selector/l= dry-run= output/o=",
	"get":                         "output/o= selector/l= all-namespaces/A no-headers show-labels label-columns/L= ignore-not-found watch/w field-selector= sort-by= filename/f=",
	"label":                       "overwrite all selector/l=",
	"logs":                        "container/c= selector/l= tail= since= follow/f all-containers prefix previous/p timestamps",
	"patch":                       "type= patch/p=",
	"replace":                     "filename/f= force",
	"rollout restart":             "selector/l=",
	"rollout status":              "timeout= watch/w",
	"run":                         "image= restart= rm stdin/i tty/t labels/l= command env= port= overrides= image-pull-policy= annotations= quiet/q generator= attach",
	"scale":                       "replicas= timeout=",
	"set env":                     "containers/c= local filename/f= output/o=",
	"version":                     "client short output/o=",
	"wait":                        "for= timeout= selector/l= all",
}

// everywhere are the flags of all commands.
const everywhere flagSet = "namespace/n="

// find returns a flag's long name and whether it has a value.
func (f flagSet) find(name string) (long string, takes, known bool) {
	for _, flag := range strings.Fields(string(f + " " + everywhere)) {
		flag, takes := strings.CutSuffix(flag, "=")
		long, short, _ := strings.Cut(flag, "/")
		if name == long || len(name) == 1 && name == short {
			return long, takes, true
		}
	}
	return "", false, false
}

// ParseKubectl reads a kubectl command line, whose first word is kubectl.
func ParseKubectl(argv []string) (*Kubectl, error) {
	k := &Kubectl{flags: map[string][]string{}}
	words := argv[1:]
	pending := []string(nil) // flags in front of the verb
	for len(words) > 0 && strings.HasPrefix(words[0], "-") {
		n := 1
		isLong := strings.HasPrefix(words[0], "--")
		if (isLong || len(words[0]) == 2) && !strings.Contains(words[0], "=") && len(words) > 1 {
			n = 2 // kubectl itself takes the next word for its value
		}
		pending = append(pending, words[:n]...)
		words = words[n:]
	}
	if len(words) == 0 {
		return nil, errors.New("kubectl has no command")
	}
	k.Verb, words = words[0], words[1:]
	// The kind that create makes may follow its flags.
	for i := 0; k.Verb == "create" && i < len(words); i++ {
		if strings.HasPrefix(words[i], "-") {
			if _, takes, _ := everywhere.find(strings.TrimLeft(words[i], "-")); takes {
				i++
			} else if !strings.Contains(words[i], "=") && words[i] != "-f" {
				continue
			}
			continue
		}
		if i > 0 && (words[i-1] == "-f" || words[i-1] == "--filename") {
			continue
		}
		if longKind(words[i]) == "secret" && i+1 < len(words) {
			pending, words = append(pending, words[:i]...), words[i:]
			for j := 1; j < len(words); j++ {
				if words[j] == "generic" || words[j] == "tls" {
					words = append([]string{words[0], words[j]}, append(slices.Clone(words[1:j]), words[j+1:]...)...)
					break
				}
			}
			break
		}
		pending, words = append(pending, words[:i]...), words[i:]
		break
	}
	for len(words) > 0 && !strings.HasPrefix(words[0], "-") {
		next := k.Verb + " " + words[0]
		if k.Verb == "create" {
			next = "create " + longKind(words[0])
		}
		isPart := slices.ContainsFunc(slices.Collect(maps.Keys(kubectlFlags)), func(c string) bool { return c == next || strings.HasPrefix(c, next+" ") })
		if !isPart {
			break
		}
		k.Verb, words = next, words[1:]
	}
	set, known := kubectlFlags[k.Verb]
	if !known {
		return nil, fmt.Errorf("kubectl %s is not known here", k.Verb)
	}
	return k, k.read(append(pending, words...), set)
}

// longKind returns the full name of a kind that create makes.
func longKind(kind string) string {
	switch kind {
	case "ns":
		return "namespace"
	case "cm":
		return "configmap"
	case "sa":
		return "serviceaccount"
	case "deploy":
		return "deployment"
	case "svc":
		return "service"
	}
	return kind
}

// read reads the words behind the command.
func (k *Kubectl) read(words []string, set flagSet) error {
	endsAtCommand := k.Verb == "exec"
	for i := 0; i < len(words); i++ {
		word := words[i]
		switch {
		case word == "--":
			if endsAtCommand || k.Verb == "run" || k.Verb == "create deployment" {
				k.Command = words[i+1:]
			} else {
				k.Args = append(k.Args, words[i+1:]...)
			}
			return nil
		case strings.HasPrefix(word, "--"):
			name, value, given := strings.Cut(word[2:], "=")
			long, takes, known := set.find(name)
			switch {
			case !known || len(name) == 1:
				return fmt.Errorf("the flag --%s of kubectl %s is not known here", name, k.Verb)
			case !given && (!takes || long == "dry-run"): // kubectl takes its value behind = alone
				value = "true"
			case takes && !given:
				if i++; i == len(words) {
					return fmt.Errorf("the flag --%s has no value", name)
				}
				value = words[i]
			}
			k.flags[long] = append(k.flags[long], value)
		case len(word) > 1 && word[0] == '-':
			n, err := k.short(word[1:], words[i+1:], set)
			if err != nil {
				return err
			}
			i += n
		case endsAtCommand && len(k.Args) == 1:
			k.Command = words[i:] // as kubectl accepted it before it required --
			if own := append([]string{k.Args[0]}, k.Command[1:]...); len(own) > 1 && onlyFlags(own, set) {
				k.Command = k.Command[:1] // kubectl's own flags behind a program without arguments
				words, i, endsAtCommand = own, 0, false
				continue
			}
			if len(k.Command) > 2 && k.Command[1] == "--" {
				k.Command = append([]string{k.Command[0]}, k.Command[2:]...) // which ends its own flags
			}
			return nil
		default:
			k.Args = append(k.Args, word)
		}
	}
	return nil
}

// onlyFlags reports whether all words behind the first one are flags of a command, with
// their values.
func onlyFlags(words []string, set flagSet) bool {
	k := &Kubectl{flags: map[string][]string{}}
	if slices.Contains(words, "--") || k.read(words, set) != nil {
		return false
	}
	return len(k.Args) == 1 && len(k.flags) > 0
}

// short reads flags of one letter and returns how many of the following words were
// their value.
func (k *Kubectl) short(letters string, behind []string, set flagSet) (int, error) {
	for j := range letters {
		long, takes, known := set.find(letters[j : j+1])
		switch {
		case !known:
			return 0, fmt.Errorf("the flag -%c of kubectl %s is not known here", letters[j], k.Verb)
		case !takes:
			k.flags[long] = append(k.flags[long], "true")
		case letters[j+1:] != "":
			k.flags[long] = append(k.flags[long], strings.TrimPrefix(letters[j+1:], "="))
			return 0, nil
		case len(behind) == 0:
			return 0, fmt.Errorf("the flag -%c has no value", letters[j])
		default:
			k.flags[long] = append(k.flags[long], behind[0])
			return 1, nil
		}
	}
	return 0, nil
}

// Looks reports whether the command only looks and changes nothing.
func (k *Kubectl) Looks() bool {
	switch k.Verb {
	case "describe", "exec", "get", "logs", "version":
		return true
	}
	return false
}
