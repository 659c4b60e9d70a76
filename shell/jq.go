package shell

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/itchyny/gojq"
)

// jqTime is how long a jq filter may take, because a filter can run for ever.
const jqTime = 5 * time.Second

// jqTool is jq with -r, -e, -c and one filter, which can read no file, variable of
// the environment or module.
func jqTool(args []string) (Filter, error) {
	set, operands, err := options(args, "rec", "", map[string]byte{"raw-output": 'r', "exit-status": 'e', "compact-output": 'c'})
	if err != nil {
		return nil, err
	}
	if len(operands) == 0 {
		operands = []string{"."}
	}
	if err := noFiles(operands[1:]); err != nil {
		return nil, err
	}
	query, err := gojq.Parse(operands[0])
	if err != nil {
		return nil, fmt.Errorf("the filter %q: %w", operands[0], err)
	}
	code, err := gojq.Compile(query, gojq.WithEnvironLoader(func() []string { return nil }))
	if err != nil {
		return nil, fmt.Errorf("the filter %q: %w", operands[0], err)
	}
	return func(in string) (string, string, int) {
		ctx, cancel := context.WithTimeout(context.Background(), jqTime)
		defer cancel()
		var out strings.Builder
		last := any(nil)
		d := json.NewDecoder(strings.NewReader(in))
		for {
			var value any
			if err := d.Decode(&value); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				return out.String(), "jq: parse error: " + err.Error() + "\n", 2
			}
			iter := code.RunWithContext(ctx, value)
			for v, ok := iter.Next(); ok; v, ok = iter.Next() {
				if err, isErr := v.(error); isErr {
					return out.String(), "jq: error: " + err.Error() + "\n", 5
				}
				last = v
				out.WriteString(jqText(v, set) + "\n")
				if out.Len() > maxOutput {
					return out.String(), "jq: error: more than 1 MiB of output\n", 5
				}
			}
		}
		if has(set, 'e') && (last == nil || last == false) {
			return out.String(), "", 1
		}
		return out.String(), "", 0
	}, nil
}

// jqText returns a value as jq prints it.
func jqText(v any, set map[byte]string) string {
	if text, isText := v.(string); isText && has(set, 'r') {
		return text
	}
	data, err := gojq.Marshal(v)
	if err != nil {
		return "null"
	}
	if has(set, 'c') {
		return string(data)
	}
	var b strings.Builder
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if enc.Encode(json.RawMessage(data)) != nil {
		return string(data)
	}
	return strings.TrimSuffix(b.String(), "\n")
}
