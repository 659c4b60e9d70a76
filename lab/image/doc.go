// Package image reads the archive of a container image and unpacks it in a lab.
//
//	archive ── Open ──► Image, all of it checked ── Send ──► socket ── Receive ──► Unpack ──► folder
//	           (on the machine)                                        (in the lab)
//
// An archive is what `docker save` or `podman save` writes, an OCI layout in a tar, or
// the tar of a root file system; each may be compressed by gzip. [Open] reads all of it
// before it returns, and refuses what a lab cannot or must not take: see checkEntry and
// [Limits]. The lab checks each entry again while it unpacks.
package image
