package main

import (
	"errors"
	"os"
	"strings"
	"unicode/utf8"

	"github.com/egressplay/egressplay/playbooks"
	"github.com/egressplay/egressplay/redact"
)

// longestSecret is how many bytes a file of a secret may have.
const longestSecret = 1 << 20

// readSecrets returns the settings of --set-secret as NAME=VALUE, with the text of
// a file for NAME=@FILE, and what keeps their values out of all texts. A file's
// line feeds at its end are no part of the value, as gh has it.
func readSecrets(flags []string) (settings []string, secrets *redact.Redactor, err error) {
	secrets = redact.New()
	for i, flag := range flags {
		name, value, found := strings.Cut(flag, "=")
		said := playbooks.SecretFlag(flag, i)
		if file, ok := strings.CutPrefix(value, "@"); ok {
			text, err := readSecret(file)
			if err != nil {
				return nil, secrets, usagef("write --set-secret NAME=@FILE, or NAME=VALUE", "%s: %v", said, err)
			}
			flag = name + "=" + text
			value = text
		}
		if utf8.RuneCountInString(strings.TrimSpace(value)) < redact.Shortest && found {
			return nil, secrets, usagef("use --set for it", "%s: a value of fewer than %d characters cannot be kept secret, for it may stand in any text", said, redact.Shortest)
		}
		secrets.AddGiven(value)
		settings = append(settings, flag)
	}
	return settings, secrets, nil
}

func readSecret(file string) (string, error) {
	f, err := os.Open(file)
	if err != nil {
		return "", err
	}
	defer f.Close()
	text, err := readAtMost(f, longestSecret)
	return strings.TrimRight(string(text), "\r\n"), err
}

// A safeError has the text and the hint of another error without secrets.
type safeError struct {
	error
	text, hint string
}

func (e *safeError) Error() string { return e.text }
func (e *safeError) Unwrap() error { return e.error }

// Hint returns what to do next.
func (e *safeError) Hint() string { return e.hint }

// safe returns an error without secrets.
func safe(err error, secrets *redact.Redactor) error {
	if err == nil {
		return nil
	}
	e := &safeError{error: err, text: secrets.Text(err.Error())}
	if h, ok := errors.AsType[hinter](err); ok {
		e.hint = secrets.Text(h.Hint())
	}
	return e
}
