package cluster

import "context"

type warningsKey struct{}

// WithWarnings returns a context for calls of an [Interface]. take gets each warning of
// the API server, one at a time.
func WithWarnings(ctx context.Context, take func(text string)) context.Context {
	return context.WithValue(ctx, warningsKey{}, take)
}

// Warn passes a warning to the function of [WithWarnings], if there is one.
func Warn(ctx context.Context, text string) {
	if take, ok := ctx.Value(warningsKey{}).(func(text string)); ok {
		take(text)
	}
}

// warnings passes on the warnings that client-go reads from an answer's
// headers.
type warnings struct{}

func (warnings) HandleWarningHeaderWithContext(ctx context.Context, code int, _, text string) {
	if code == 299 && text != "" { // the only code that Kubernetes sends
		Warn(ctx, text)
	}
}
