// Package sandbox makes the namespaces in which a lab lives, and checks beforehand
// whether this machine allows them. It is for Linux only.
//
//	caller                       pid 1: the lab's init       pid 2: the lab
//	------                       -------------------         --------------
//	Start: clone, new namespaces
//	   |                         Enter: waits
//	   writes the id maps
//	   |---- "go" -------------->starts itself again ------->Enter: mounts, hostname
//	   |<--- "ready", or what went wrong -----------------------|
//	   Process                   reaps, hands signals on     Enter returns
//
// Both are the same program, which first calls [Enter]. The init only reaps processes
// for which no one else waits, so the lab can use os/exec as any program does. When
// either of the two ends, however it ends, the kernel kills all other processes and
// removes the mounts, interfaces and namespaces.
//
// An ordinary user's lab also gets a user namespace, in which the caller has the id 0
// and the caller's subordinate ids follow from 1 on. Everything else is as for root.
package sandbox
