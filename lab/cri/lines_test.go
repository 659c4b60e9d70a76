package cri

import "strings"

func lines(s string) []string { return strings.Split(strings.TrimSuffix(s, "\n"), "\n") }
