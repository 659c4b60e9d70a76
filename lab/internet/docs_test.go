package internet

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestDocs checks docs/lab.md against the code: its table of hosts, its examples, its
// keys and the fields of the record.
func TestDocs(t *testing.T) {
	data, err := os.ReadFile("../../docs/lab.md")
	require.NoError(t, err)
	text := string(data)

	documented := map[string]string{} // the names of a host to its addresses
	_, table, found := strings.Cut(text, "\n| host | address | on 80 | on 443 |\n|---|---|---|---|\n")
	require.True(t, found)
	table, _, _ = strings.Cut(table, "\n\n")
	quoted, addr := regexp.MustCompile("`([^`]+)`"), regexp.MustCompile(`[0-9]+(\.[0-9]+){3}`)
	for row := range strings.Lines(table) {
		cells := strings.Split(row, "|")
		require.Len(t, cells, 6, row)
		var names []string
		for _, name := range quoted.FindAllStringSubmatch(cells[1], -1) {
			names = append(names, name[1])
		}
		documented[strings.Join(names, " ")] = strings.Join(addr.FindAllString(cells[2], -1), " ")
	}
	hosts := map[string]string{}
	for _, host := range DefaultHosts() {
		hosts[strings.Join(slices.Concat(host.Names, host.Absent), " ")] = strings.Trim(fmt.Sprint(host.addrs()), "[]")
	}
	assert.Equal(t, hosts, documented)

	examples := regexp.MustCompile("(?ms)^```yaml\n(.*?)^```$").FindAllStringSubmatch(text, -1)
	require.NotEmpty(t, examples)
	for _, example := range examples {
		_, err := Parse("docs/lab.md", []byte(example[1]))
		assert.NoError(t, err, example[1])
	}
	keys := slices.Concat([]string{"banner", "tls", "times", "message", "trailersOnly"}, hostKeys, answerKeys)
	for _, key := range keys {
		assert.Contains(t, text, "`"+key, key)
	}

	_, section, found := strings.Cut(text, "\n### What is recorded\n")
	require.True(t, found)
	section, _, _ = strings.Cut(section, "\n### ")
	for _, field := range fieldsOfRecord() {
		assert.Contains(t, section, "`"+field+"`", field)
	}
}
