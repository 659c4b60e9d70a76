package nearest_test

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/egressplay/egressplay/nearest"
)

func TestName(t *testing.T) {
	known := []string{"command", "container", "exitCode", "status", "stdout", "in"}
	for name, want := range map[string]string{
		"comand": "command", "commnad": "command", "exitcode": "exitCode", "ExitCode": "exitCode", "statsu": "status", "stdot": "stdout", "im": "in",
		"containers": "container", "coffee": "", "": "", "x": "", "commandcommand": "",
	} {
		got, ok := nearest.Name(name, known)
		assert.Equal(t, want, got, name)
		assert.Equal(t, want != "", ok, name)
	}
	_, ok := nearest.Name("command", nil)
	assert.False(t, ok)
}

func FuzzName(f *testing.F) {
	f.Add("comand", "command")
	f.Fuzz(func(t *testing.T, name, known string) {
		got, ok := nearest.Name(name, []string{known})
		assert.True(t, !ok && got == "" || ok && got == known)
		if name == known {
			assert.True(t, ok, "a name is nearest to itself")
		}
	})
}
