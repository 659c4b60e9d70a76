// Package starter is the code that runs in a container's own process before the
// container's program does. The server of package cri runs [Start] in new namespaces
// and sends it a [Spec]; the starter builds the container's root, drops what the
// container may not have, and executes the program.
//
// The server itself uses the parts that also hold for a command that it runs in a
// container: capabilities, signals, terminals, and the look-up of a program.
package starter
