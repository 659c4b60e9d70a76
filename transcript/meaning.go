package transcript

import (
	"strconv"
	"strings"

	"github.com/egressplay/egressplay/evidence"
	"github.com/egressplay/egressplay/explain"
)

// meaning says in words what a terse code means that a claim got: curl's exit code,
// Envoy's flags and details, gRPC's status. It is "" for anything else.
func meaning(v *evidence.Verdict, command string) string {
	got := strings.Trim(v.Got, `"'`)
	key := v.Key[strings.LastIndex(v.Key, ".")+1:]
	name, _, _ := strings.Cut(key, "[")
	switch name {
	case "exitCode":
		if code, err := strconv.Atoi(got); err == nil && strings.Contains(command, "curl ") {
			if words := explain.CurlExit(code); words != "" {
				return "curl's exit code " + got + ": " + words
			}
		}
	case "flags":
		var all []string
		for _, flag := range strings.FieldsFunc(got, func(r rune) bool { return r == ',' || r == ' ' || r == '[' || r == ']' }) {
			if words := explain.Flag(flag); words != "" {
				all = append(all, flag+": "+words)
			}
		}
		return strings.Join(all, "; ")
	case "details":
		return explain.Detail(got)
	case "grpcStatus":
		return explain.GRPCStatus(got)
	}
	return ""
}
