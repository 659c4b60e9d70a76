package expect

import "github.com/egressplay/egressplay/runner"

// Kinds maps the key under expect in YAML to a new, empty expectation. Keep it
// sorted.
var Kinds = map[string]func() runner.Expectation{
	"arrived":    func() runner.Expectation { return new(Arrived) },
	"body":       func() runner.Expectation { return new(Body) },
	"connection": func() runner.Expectation { return new(Connection) },
	"counter":    func() runner.Expectation { return new(Counter) },
	"elapsed":    func() runner.Expectation { return new(Elapsed) },
	"exitCode":   func() runner.Expectation { return new(ExitCode) },
	"grpc":       func() runner.Expectation { return new(GRPC) },
	"headers":    func() runner.Expectation { return new(Headers) },
	"log":        func() runner.Expectation { return new(Log) },
	"path":       func() runner.Expectation { return new(Path) },
	"responses":  func() runner.Expectation { return new(Responses) },
	"shown":      func() runner.Expectation { return new(Shown) },
	"status":     func() runner.Expectation { return new(Status) },
	"stderr":     func() runner.Expectation { return new(Stderr) },
	"stdout":     func() runner.Expectation { return new(Stdout) },
}
