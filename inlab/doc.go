// Package inlab runs playbooks in a lab as a user does: with the program egressplay,
// whose report it reads. The tools that test the playbooks and the expectations use it.
package inlab
