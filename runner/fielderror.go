package runner

// A FieldError reports what is wrong with a field of a step or of an
// expectation. A Validate method returns one, or several joined by
// errors.Join, so that the reader is led to the right place in the file.
type FieldError struct {
	// Field is the path of YAML keys below the value that was validated, such
	// as ["labels"]; empty for the value itself. An item of a list is its
	// index in digits.
	Field []string
	// Line is where in a text of several lines it is, from 1; 0 for none.
	Line int
	// Column is where in that line, from 1; 0 for where it begins.
	Column int
	Err    error
	// Hint tells what to write instead; "" when nothing useful can be said.
	Hint string
}

func (e *FieldError) Error() string { return e.Err.Error() }
func (e *FieldError) Unwrap() error { return e.Err }
