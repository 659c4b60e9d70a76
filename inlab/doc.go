// Package inlab runs playbooks in a lab as a user does: by the program
// egressplay, whose report it reads. The tools that test the playbooks and the
// expectations are built on it.
package inlab
