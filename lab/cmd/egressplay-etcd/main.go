// Command egressplay-etcd is etcd, with smaller segments of its log. As a program of
// its own it holds 110 MB less resident memory than as a part of egressplay-components.
package main

import (
	"os"

	"go.etcd.io/etcd/server/v3/etcdmain"
	"go.etcd.io/etcd/server/v3/storage/wal"
)

// segment is the size of a file of the log in bytes. etcd preallocates two segments, of
// 64 MB each by default. Here they would take memory: a lab's state is on a tmpfs.
const segment = 4 << 20

func main() {
	wal.SegmentSizeBytes = segment
	etcdmain.Main(os.Args)
}
