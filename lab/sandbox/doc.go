// Package sandbox makes the set of namespaces in which a lab lives, and says
// beforehand whether this machine allows it. It is for Linux only.
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
// Both are the same program, whose first act is to call [Enter]. The init does
// nothing but reap what no one else waits for, so the lab can use os/exec as
// any program does; when either of the two ends, however it ends, the kernel
// kills what is left and takes the mounts, interfaces and namespaces with it.
//
// An ordinary user's lab also gets a user namespace, in which the caller is id
// 0 and his subordinate ids follow from 1 on. All else is the same for root.
package sandbox
