// Command egressplay-etcd is etcd, with smaller segments of its log. Alone it
// holds 110 MB less resident than as a part of egressplay-components.
package main

import (
	"os"

	"go.etcd.io/etcd/server/v3/etcdmain"
	"go.etcd.io/etcd/server/v3/storage/wal"
)

// segment is the size of a file of the log in bytes. etcd sets two aside at
// once, of 64 MB each by default, which would be memory here: a lab's state is
// on a tmpfs.
const segment = 4 << 20

func main() {
	wal.SegmentSizeBytes = segment
	etcdmain.Main(os.Args)
}
