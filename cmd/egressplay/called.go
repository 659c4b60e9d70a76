package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/spf13/cobra"
)

const (
	ownName    = "egressplay"
	pluginName = "kubectl-egressplay" // kubectl finds a plugin by this name of its file
)

// fileName is the name of the file by which this program was called.
var fileName = strings.TrimSuffix(filepath.Base(os.Args[0]), ".exe")

// isPlugin reports whether kubectl called this program as its plugin.
func isPlugin() bool { return fileName == pluginName }

// nameAsCalled has a command line call itself as its user does: a plugin is
// "kubectl egressplay", in usage, texts and examples. Its completion scripts are for
// the file's own name.
func nameAsCalled(root *cobra.Command) {
	if !isPlugin() {
		return
	}
	root.Use = pluginName
	root.Annotations = map[string]string{cobra.CommandDisplayNameAnnotation: "kubectl " + ownName}
	own := ownCommands(root)
	eachCommand(root, func(c *cobra.Command) {
		c.Long, c.Example = own.ReplaceAllString(c.Long, asPlugin), own.ReplaceAllString(c.Example, asPlugin)
	})
}

// asCalled returns a text in which each command line of this program can be pasted by
// whoever called it.
func asCalled(text string) string {
	if !isPlugin() {
		return text
	}
	return ownCommands(newRoot()).ReplaceAllString(text, asPlugin)
}

const asPlugin = "${1}kubectl ${2}"

// ownCommands matches the command lines of this program in a text: its name and a
// verb, or an option.
func ownCommands(root *cobra.Command) *regexp.Regexp {
	next := []string{"--[a-z]+"}
	for _, c := range root.Commands() {
		next = append(next, c.Name()+`\b`)
	}
	return regexp.MustCompile("(^|\n|[ \"`(])(" + ownName + " (?:" + strings.Join(next, "|") + "))")
}

// eachCommand calls do for a command and all below it.
func eachCommand(c *cobra.Command, do func(*cobra.Command)) {
	do(c)
	for _, below := range c.Commands() {
		eachCommand(below, do)
	}
}
