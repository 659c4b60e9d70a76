package evidence

// A Shell is what a script of several commands showed.
type Shell struct {
	// Text is what a terminal would have shown, at most 1 MiB of it.
	Text string `json:"text"`
	// Truncated reports whether there was more output than was kept.
	Truncated bool    `json:"truncated,omitempty"`
	Stages    []Stage `json:"stages"`
	// Bound are the values that stood in earlier outputs for those that the tutorial
	// shows.
	Bound []Binding `json:"-"`
}

// A Binding says which value of a kind, such as an address, stood for one that a
// tutorial shows.
type Binding struct{ Kind, Shown, Got string }

// A Stage is one command of a script.
type Stage struct {
	Argv []string `json:"argv"`
	// Code is its exit code: that of a command in a pod as the server sent it, and
	// curl too, where it is curl.
	Code int `json:"code"`
	// Exec reports whether it ran a command in a pod, Log that it read a log.
	Exec bool `json:"exec,omitempty"`
	Log  bool `json:"log,omitempty"`
	// Older is how many lines it read of a log that are of requests from before the
	// last one; they are left out.
	Older int `json:"older,omitempty"`
	// Undated reports whether it read lines of a log of which it is not known when they
	// were written.
	Undated bool `json:"undated,omitempty"`
	// Behind reports whether it read what the stage before it wrote.
	Behind bool `json:"behind,omitempty"`
	// Inner reports whether it ran within $(...).
	Inner bool `json:"inner,omitempty"`
}
