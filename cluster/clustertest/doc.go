// Package clustertest has a cluster in memory, and a suite that tests it and real
// clusters for the same promises.
package clustertest
