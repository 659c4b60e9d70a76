// Package changes makes the changes of a run, records each as data before it is
// tried, and puts them back.
//
//	step ──▶ Journal.Apply, Patch, Delete ─┬─▶ Store: what was there, what will be
//	                                       ├─▶ cluster
//	                                       └─▶ Store: what is there now
//	end of the run, or cleanup ──▶ Undo: from the record and the world as it is
//
// Undoing is conditional. What the run made is deleted only if it is still the
// object that the run made. What the run changed goes back field by field, where
// the field is still as the run left it. What somebody else changed stays.
package changes
