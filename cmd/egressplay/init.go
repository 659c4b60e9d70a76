package main

import (
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/egressplay/egressplay/nearest"
	"github.com/egressplay/egressplay/steps"
)

// begin has a beginning for all playbooks, and for each verb the steps that follow.
//
//go:embed init
var begin embed.FS

func newInit() *cobra.Command {
	var from string
	cmd := &cobra.Command{
		Use:   "init [FILE]",
		Short: "Write a playbook to begin with",
		Long: `Writes a playbook to begin with: it deploys the sample that the tutorials send requests
from, makes a request, and passes in the lab. --from takes a verb, which the playbook
then shows. FILE is playbook.yaml by default, and is never overwritten; - is stdout.`,
		Example: `  egressplay init mine.yaml
  egressplay init --from certificates -`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return nil
			}
			return exactlyOne("the name of a file")(cmd, args)
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			file := "playbook.yaml"
			if len(args) > 0 {
				file = args[0]
			}
			text, err := beginning(file, from)
			if err != nil {
				return err
			}
			if file == "-" {
				_, err := cmd.OutOrStdout().Write(text)
				return err
			}
			if err := writeNew(file, text); err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "wrote %s; to run it: egressplay run %s\n", file, file)
			return nil
		},
	}
	cmd.Flags().StringVar(&from, "from", "exec", "the `VERB` that the playbook shows")
	register(cmd, "from", fixed(verbs()...))
	return cmd
}

// verbs returns the verbs of steps, sorted.
func verbs() []string {
	var all []string
	for verb := range steps.Kinds {
		all = append(all, verb)
	}
	slices.Sort(all)
	return all
}

// beginning returns a playbook that shows a verb.
func beginning(file, verb string) ([]byte, error) {
	rest, err := begin.ReadFile("init/" + verb + ".yaml")
	if _, known := steps.Kinds[verb]; !known || err != nil {
		hint := "there are " + strings.Join(verbs(), ", ")
		if near, ok := nearest.Name(verb, verbs()); ok {
			hint = "did you mean " + near + "?"
		}
		return nil, usagef(hint, "unknown verb %q", verb)
	}
	head, err := begin.ReadFile("init/head.yaml")
	if err != nil {
		return nil, err
	}
	text := strings.Replace(string(head), "NAME", nameOf(file), 1)
	return []byte(text + string(rest)), nil
}

// nameOf returns the name of a playbook in a file.
func nameOf(file string) string {
	name := strings.TrimSuffix(filepath.Base(file), filepath.Ext(file))
	name = regexp.MustCompile(`[^a-z0-9]+`).ReplaceAllString(strings.ToLower(name), "-")
	if name = strings.Trim(name, "-"); name == "" {
		return "playbook"
	}
	return name
}

// writeNew writes a file that is not there yet.
func writeNew(file string, text []byte) error {
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
	if errors.Is(err, fs.ErrExist) {
		return usagef("name another file", "%s is there already", file)
	}
	if err != nil {
		return usagef("name a file in a folder that can be written to", "%v", err)
	}
	_, err = f.Write(text)
	return errors.Join(err, f.Close())
}
